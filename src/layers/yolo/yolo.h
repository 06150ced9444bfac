// [yolo]: the detection head of YOLOv3, v4 and their descendants. Input: masks x (5 + classes) channels of a linear convolution (new_coords=1: of
// a logistic one). Output, plain [N,C,H,W]: the same with sigmoids and scale_x_y applied. In training, forward also computes the loss and its
// gradient; backward hands the gradient on. yolo_rules.h says what the numbers mean, yolo_loss.h what is learnt.
//   [yolo]
//   mask = 3,4,5
//   anchors = 10,14, 23,27, 37,58, 81,82, 135,169, 344,319
//   classes = 80
//   num = 6
//   ignore_thresh = .7
#pragma once

#include "layers/yolo/yolo_rules.h"
#include "nn/detection.h"
#include "nn/layer.h"

namespace dn {

struct YoloSpec {
  int classes = 20, num = 1, max = 200;
  std::vector<int> mask;
  std::vector<float> anchors;
  bool new_coords = false;
  float scale_x_y = 1;
  std::string iou_loss = "mse", iou_thresh_kind = "iou";
  float ignore_thresh = .5f, truth_thresh = 1, iou_thresh = 1;
  float iou_normalizer = .75f, obj_normalizer = 1, cls_normalizer = 1, delta_normalizer = 1;
  float max_delta = std::numeric_limits<float>::max();
  std::vector<int> counters_per_class;
  float label_smooth_eps = 0;
  bool focal_loss = false, objectness_smooth = false, exact_gradient = false;
  std::string nms_kind = "default";
  float beta_nms = .6f;
  float jitter = .2f, resize = 1, random = 0;
  std::string map;
  int embedding_layer = 999999;  // none
  float sim_thresh = .8f, track_ciou_norm = .01f;
  int track_history_size = 5, dets_for_track = 1, dets_for_show = 1;
};

class Yolo : public Layer, public Head {
 public:
  static std::unique_ptr<Yolo> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Yolo& layer, cpu::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Shape output_shape(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;
  bool writes_plain() const override { return true; }
  bool has_loss() const override { return true; }
  const Head* head() const override { return this; }

  int classes() const override { return rules_.classes; }
  int max_truths() const override { return rules_.max_truths; }
  float jitter() const override { return jitter_; }
  float resize() const override { return resize_; }
  float random() const override { return random_; }
  NmsKind nms_kind() const override { return nms_kind_; }
  float beta_nms() const override { return beta_nms_; }
  void check_relations(std::span<const Shape> outputs) const override;
  int anchors_per_cell() const override { return static_cast<int>(rules_.mask.size()); }
  std::vector<PositiveCell> positives(std::span<const TruthBox> truths, const Shape& grid, const Shape& net) const override;
  int embedding_layer() const override { return embedding_layer_; }
  const TrackRules* tracking() const override { return embedding_layer_ >= 0 ? &track_ : nullptr; }
  void decode(const Tensor& output, int image, const Shape& net, float threshold, std::vector<Detection>& out) const override;

  const YoloRules& rules() const { return rules_; }

 private:
  Yolo(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  YoloRules rules_;
  int embedding_layer_ = -1;
  TrackRules track_;
  NmsKind nms_kind_ = NmsKind::standard;
  float beta_nms_ = .6f, jitter_ = 0, resize_ = 1, random_ = 0;
};

}  // namespace dn
