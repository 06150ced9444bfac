// [detection]: the detection head of YOLOv1 (Redmon, Divvala, Girshick, Farhadi, "You Only Look Once", 2016). The picture is cut into side x side
// cells; a cell has one list of class probabilities and num boxes with a confidence each. Input: side^2 (classes + num (1 + 4)) numbers of an image in
// [C,H,W] order, of a [connected] or another layer, laid out as
//   [cell][class]   [cell][box] confidence   [cell][box][x, y, w, h]
// Output, plain: the same, with softmax=1 the classes of a cell through a softmax. Box: centre (column + x) / side, (row + y) / side, size w, h
// relative to the picture, with sqrt=1 their squares. In training, forward also computes the loss and its gradient (detection_loss.h).
//   [detection]
//   classes = 20
//   coords = 4
//   rescore = 1
//   side = 7
//   num = 2
//   sqrt = 1
//   noobject_scale = .5
//   coord_scale = 5
#pragma once

#include "layers/detection/detection_rules.h"
#include "nn/detection.h"
#include "nn/layer.h"

namespace dn {

struct DetectionSpec {
  int classes = 1, num = 1, side = 7, max = 200;
  bool softmax = false, sqrt = false, rescore = false, forced = false, random = false;
  float coord_scale = 1, object_scale = 1, noobject_scale = 1, class_scale = 1;
  float jitter = .2f;
};

class DetectionHead : public Layer, public Head {
 public:
  static std::unique_ptr<DetectionHead> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const DetectionHead& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const DetectionHead& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Shape output_shape(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;
  bool resizable() const override { return false; }   // the number of cells is fixed
  bool writes_plain() const override { return true; }
  bool has_loss() const override { return true; }
  const Head* head() const override { return this; }

  int classes() const override { return rules_.classes; }
  int max_truths() const override { return rules_.max_truths; }
  float jitter() const override { return jitter_; }
  float resize() const override { return 1; }
  float random() const override { return 0; }   // the key of that name is about assignment here
  NmsKind nms_kind() const override { return NmsKind::standard; }
  float beta_nms() const override { return .6f; }
  void decode(const Tensor& output, int image, const Shape& net, const DecodeOptions& options, std::vector<Detection>& out) const override;
  std::string loss_line(const LossReport& sum) const override;

  const DetectionRules& rules() const { return rules_; }

 private:
  DetectionHead(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  DetectionRules rules_;
  float jitter_ = 0;
};

}  // namespace dn
