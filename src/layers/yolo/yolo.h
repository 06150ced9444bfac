// [yolo]: the detection head of YOLOv3, v4 and their descendants. Input: masks x (5 + classes) channels of a linear convolution (new_coords=1: of
// a logistic one). Output, plain [N,C,H,W]: the same with sigmoids and scale_x_y applied. In training, forward also computes the loss and its
// gradient; backward hands the gradient on. nn/anchor_rules.h says what the numbers mean, yolo_loss.h what is learnt.
//   [yolo]
//   mask = 3,4,5
//   anchors = 10,14, 23,27, 37,58, 81,82, 135,169, 344,319
//   classes = 80
//   num = 6
//   ignore_thresh = .7
#pragma once

#include "nn/anchor_head.h"

namespace dn {

struct YoloSpec {
  bool new_coords = false, focal_loss = false;
  std::string nms_kind = "default";
  int embedding_layer = 999999;  // none
  float sim_thresh = .8f, track_ciou_norm = .01f;
  int track_history_size = 5, dets_for_track = 1, dets_for_show = 1;
};

class Yolo : public AnchorHead {
 public:
  static std::unique_ptr<Yolo> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Yolo& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Yolo& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  bool rejects_labels() const override { return true; }
  void check_relations(std::span<const Shape> outputs) const override;
  int anchors_per_cell() const override { return static_cast<int>(rules_.mask.size()); }
  std::vector<PositiveCell> positives(std::span<const TruthBox> truths, const Shape& grid, const Shape& net) const override;
  int embedding_layer() const override { return embedding_layer_; }
  const TrackRules* tracking() const override { return embedding_layer_ >= 0 ? &track_ : nullptr; }

 private:
  using AnchorHead::AnchorHead;
  int embedding_layer_ = -1;
  TrackRules track_;
};

}  // namespace dn
