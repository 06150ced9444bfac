// [region]: the detection head of YOLOv2 and YOLO9000. Input: num x (5 + classes) channels of a linear convolution. Output, plain [N,C,H,W], entries
// x, y, w, h, objectness, classes...: x, y, objectness through the sigmoid, classes through a softmax (softmax=1), or with `tree` through one per
// group of siblings. Box: centre (column + x) / columns, (row + y) / rows; size e^w anchor / columns, the anchors being given in cells. In training,
// forward also computes the loss and its gradient (region_loss.h); backward hands the gradient on.
//   [region]
//   anchors = 1.08,1.19, 3.42,4.41, 6.63,11.38
//   bias_match = 1
//   classes = 20
//   num = 3
//   softmax = 1
//   rescore = 1
//   object_scale = 5
//   thresh = .6
#pragma once

#include "layers/region/region_rules.h"
#include "nn/detection.h"
#include "nn/layer.h"

namespace dn {

struct RegionSpec {
  int classes = 20, num = 1, max = 200, classfix = 0;
  std::vector<float> anchors;
  bool softmax = false, focal_loss = false, rescore = false, bias_match = false;
  float thresh = .5f, coord_scale = 1, object_scale = 1, noobject_scale = 1, class_scale = 1;
  float jitter = .2f, resize = 1, random = 0;
  std::string tree, map;
};

class Region : public Layer, public Head {
 public:
  static std::unique_ptr<Region> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Region& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Region& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Shape output_shape(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;
  bool writes_plain() const override { return true; }
  bool has_loss() const override { return true; }
  const Head* head() const override { return this; }

  int classes() const override { return rules_.classes; }
  std::span<const int> class_map() const override { return rules_.class_map; }
  bool has_class_tree() const override { return rules_.has_tree(); }
  int max_truths() const override { return rules_.max_truths; }
  float jitter() const override { return jitter_; }
  float resize() const override { return resize_; }
  float random() const override { return random_; }
  NmsKind nms_kind() const override { return NmsKind::standard; }
  float beta_nms() const override { return .6f; }
  // With a tree a detection has one class: the way from the root goes to the most probable child while the probability stays above options.hierarchy.
  void decode(const Tensor& output, int image, const Shape& net, const DecodeOptions& options, std::vector<Detection>& out) const override;
  std::string loss_line(const LossReport& sum) const override;

  const RegionRules& rules() const { return rules_; }

 private:
  Region(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  RegionRules rules_;
  float jitter_ = 0, resize_ = 1, random_ = 0;
};

}  // namespace dn
