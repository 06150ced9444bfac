// What [yolo] and [Gaussian_yolo] share as layers: keys, shapes, decoding, and the CPU kernel around their losses.
#pragma once

#include "config/keys.h"
#include "nn/anchor_loss.h"
#include "nn/detection.h"
#include "nn/layer.h"

namespace dn {

struct AnchorSpec {
  int classes = 20, num = 1, max = 200;
  std::vector<int> mask;
  std::vector<float> anchors;
  float scale_x_y = 1;
  std::string iou_loss = "mse", iou_thresh_kind = "iou";
  float ignore_thresh = .5f, truth_thresh = 1, iou_thresh = 1;
  float iou_normalizer = .75f, obj_normalizer = 1, cls_normalizer = 1, delta_normalizer = 1;
  float max_delta = std::numeric_limits<float>::max();
  std::vector<int> counters_per_class;
  float label_smooth_eps = 0;
  bool objectness_smooth = false, exact_gradient = false;
  float beta_nms = .6f;
  float jitter = .2f, resize = 1, random = 0;
  std::string map;
};

// The key table of AnchorSpec.
std::span<const Key<AnchorSpec>> anchor_keys();

class AnchorHead : public Layer, public Head {
 public:
  Shape output_shape(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;
  bool writes_plain() const override { return true; }
  bool has_loss() const override { return true; }
  const Head* head() const override { return this; }

  int classes() const override { return rules_.classes; }
  std::span<const int> class_map() const override { return rules_.class_map; }
  int max_truths() const override { return rules_.max_truths; }
  float jitter() const override { return jitter_; }
  float resize() const override { return resize_; }
  float random() const override { return random_; }
  NmsKind nms_kind() const override { return nms_kind_; }
  float beta_nms() const override { return beta_nms_; }
  // Whether the network's label rejection reaches this head.
  virtual bool rejects_labels() const { return false; }
  // Cell by cell and within a cell anchor by anchor, as the family orders them. With uncertainties every probability is lowered by their mean.
  void decode(const Tensor& output, int image, const Shape& net, const DecodeOptions& options, std::vector<Detection>& out) const override;

  const AnchorRules& rules() const { return rules_; }

 protected:
  AnchorHead(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  // Takes over the shared keys; what does not fit together is reported.
  void set(const Section& section, const AnchorSpec& spec, Problems& problems);

  AnchorRules rules_;
  NmsKind nms_kind_ = NmsKind::standard;

 private:
  float beta_nms_ = .6f, jitter_ = 0, resize_ = 1, random_ = 0;
};

using AnchorImageLossFunction = AnchorImageLoss (*)(const AnchorRules&, const AnchorGrid&, const float* output, std::span<const TruthBox>,
                                                    float* delta, const Rejection&);

std::unique_ptr<Kernel> compile_anchor_head_cpu(const AnchorHead& layer, cpu::Device& device, const KernelArgs& args, AnchorImageLossFunction loss);

}  // namespace dn
