// [Gaussian_yolo]: a [yolo] head whose four coordinates come with an uncertainty each (Choi, Chun, Kim, Lee, "Gaussian YOLOv3", 2019). Input: masks x
// (9 + classes) channels of a linear convolution, entries x, sx, y, sy, w, sw, h, sh, objectness, classes; all but w and h go through the sigmoid.
// A probability is objectness x class x (1 - mean uncertainty). gaussian_yolo_loss.h says what is learnt, nn/anchor_rules.h what the numbers mean.
//   [Gaussian_yolo]
//   mask = 3,4,5
//   anchors = 10,14, 23,27, 37,58, 81,82, 135,169, 344,319
//   classes = 10
//   num = 6
//   uc_normalizer = 1.0
#pragma once

#include "nn/anchor_head.h"

namespace dn {

struct GaussianYoloSpec {
  float uc_normalizer = 1;
  std::string yolo_point = "center", nms_kind = "default";
};

class GaussianYolo : public AnchorHead {
 public:
  static std::unique_ptr<GaussianYolo> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const GaussianYolo& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const GaussianYolo& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

 private:
  using AnchorHead::AnchorHead;
};

}  // namespace dn
