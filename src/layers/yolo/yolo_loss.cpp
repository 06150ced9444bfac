#include "layers/yolo/yolo_loss.h"

#include <algorithm>
#include <cstring>

#include "layers/yolo/yolo_assignment.h"
#include "layers/yolo/yolo_sweeps.h"

namespace dn {
namespace {

constexpr float kFocalAlpha = .5f;
constexpr float kConfidentClass = .25f;   // of any class, not only the truth's: as in the reference

class ImageLoss {
 public:
  ImageLoss(const YoloRules& rules, const YoloGrid& grid, const float* output, std::span<const TruthBox> truths, float* delta)
      : rules_(rules), grid_(grid), plane_(grid.plane()), output_(output), delta_(delta), truths_(yolo_known_truths(rules, truths)) {}

  YoloImageLoss run(const Rejection& rejection) {
    sums_.truths = static_cast<int64_t>(truths_.size());
    for (int a = 0; a < static_cast<int>(rules_.mask.size()); ++a) score_anchor(a);
    for (const TruthBox& truth : truths_) each_assignment(rules_, grid_, truth.box, [&](int a, size_t cell) { assign_to(a, cell, truth); });
    if (rules_.iou_thresh < 1) share_box_deltas();
    if (rejection.sums)
      *rejection.sums = reject_labels({delta_, static_cast<size_t>(rules_.channels()) * plane_}, rejection.bounds);
    add_up();
    return sums_;
  }

 private:
  size_t at(int a, int entry, size_t cell) const { return yolo_plane(rules_, grid_, a, entry) + cell; }

  // Every cell of one anchor: objectness towards 0 except where a truth is met well enough. The anchor's delta planes serve as workspace first:
  // box edges in x, y, w, h, best overlap in objectness, largest class probability in the first class.
  void score_anchor(int a) {
    float* const d = delta_ + at(a, kX, 0);
    const float* const p = output_ + at(a, kX, 0);
    for (size_t cell = 0; cell < plane_ && !truths_.empty(); ++cell) {
      const Box box = yolo_box(rules_, grid_, output_, a, cell);
      d[cell] = box.x - box.w / 2;
      d[plane_ + cell] = box.x + box.w / 2;
      d[2 * plane_ + cell] = box.y - box.h / 2;
      d[3 * plane_ + cell] = box.y + box.h / 2;
    }
    std::vector<std::pair<size_t, float>> kept;   // cells with an overlap above a threshold, and the overlap
    if (!truths_.empty()) {
      float* const best = d + kObjectness * plane_;
      float* const largest = d + kFirstClass * plane_;
      yolo_best_overlap({d, d + plane_, d + 2 * plane_, d + 3 * plane_}, plane_, truths_, best);
      std::memcpy(largest, p + kFirstClass * plane_, plane_ * sizeof(float));
      for (int c = 1; c < rules_.classes; ++c) yolo_take_larger(largest, p + static_cast<size_t>(kFirstClass + c) * plane_, plane_);
      for (size_t cell = 0; cell < plane_; ++cell)
        if ((best[cell] > rules_.ignore_thresh && largest[cell] > kConfidentClass) || best[cell] > rules_.truth_thresh)
          kept.push_back({cell, largest[cell] > kConfidentClass ? best[cell] : 0});
    }
    std::memset(d, 0, static_cast<size_t>(rules_.entries()) * plane_ * sizeof(float));
    const float* const objectness = p + kObjectness * plane_;
    float* const delta = d + kObjectness * plane_;
    for (size_t cell = 0; cell < plane_; ++cell) delta[cell] = rules_.obj_normalizer * (0 - objectness[cell]);
    for (const auto& [cell, match] : kept) meet(a, cell, match);
  }

  // A cell whose box overlaps some truth: no objectness delta (or the overlap as target), and above truth_thresh a positive without assignment.
  void meet(int a, size_t cell, float match) {
    const float p = output_[at(a, kObjectness, cell)];
    float& delta = delta_[at(a, kObjectness, cell)];
    if (match > rules_.ignore_thresh) delta = rules_.objectness_smooth ? rules_.obj_normalizer * (match - p) : 0;
    if (!(rules_.truth_thresh < 1)) return;
    const Box box = yolo_box(rules_, grid_, output_, a, cell);
    float best = 0;
    const TruthBox* nearest = nullptr;
    for (const TruthBox& truth : truths_)
      if (const float overlap = iou(box, truth.box); overlap > best) best = overlap, nearest = &truth;
    if (!nearest || !(best > rules_.truth_thresh)) return;
    const float target = !rules_.objectness_smooth ? 1 : rules_.exact_gradient ? best : best * best;
    delta = rules_.obj_normalizer * (target - p);
    class_delta(a, cell, nearest->class_id);
    box_delta(a, cell, nearest->box, class_multiplier(nearest->class_id));
  }

  void assign_to(int a, size_t cell, const TruthBox& truth) {
    const float multiplier = class_multiplier(truth.class_id);
    const Box box = yolo_box(rules_, grid_, output_, a, cell);
    box_delta(a, cell, truth.box, multiplier);
    float& objectness = delta_[at(a, kObjectness, cell)];
    if (rules_.objectness_smooth && rules_.exact_gradient)
      objectness = multiplier * rules_.obj_normalizer * (best_overlap(box) - output_[at(a, kObjectness, cell)]);
    else if (!rules_.objectness_smooth || objectness == 0)   // otherwise what meet() or score_anchor() left stays
      objectness = multiplier * rules_.obj_normalizer * (1 - output_[at(a, kObjectness, cell)]);
    class_delta(a, cell, truth.class_id);
    ++sums_.assigned;
    sums_.iou_sum += iou(box, truth.box);
    sums_.dissimilarity_sum += 1 - (rules_.iou_loss == IouKind::giou ? giou(box, truth.box) : iou(box, truth.box));
  }

  float best_overlap(const Box& box) const {
    float best = 0;
    for (const TruthBox& truth : truths_) best = std::max(best, iou(box, truth.box));   // NaN is passed over
    return best;
  }

  float class_multiplier(int class_id) const {
    return rules_.class_multipliers.empty() ? 1 : rules_.class_multipliers[static_cast<size_t>(class_id)];
  }

  void set_if_finite(float& to, float value) const {
    if (std::isfinite(value)) to = value;
  }

  // The first truth of a cell sets all classes; a later one of another class only its own, so a cell can have several.
  void class_delta(int a, size_t cell, int class_id) {
    const float* const p = output_ + at(a, kFirstClass, cell);
    float* const d = delta_ + at(a, kFirstClass, cell);
    const float eps = rules_.label_smooth_eps;
    const auto target = [&](bool positive) { return (positive ? 1 - eps : 0) + eps / 2; };
    const size_t own = static_cast<size_t>(class_id) * plane_;
    const bool weighted = !rules_.class_multipliers.empty();
    if (d[own] != 0) {
      const float value = target(true) - p[own];
      set_if_finite(d[own], weighted ? value * class_multiplier(class_id) : value);
      return;
    }
    float factor = 1;
    if (rules_.focal_loss) {
      const float pt = p[own] + 1e-15f;
      factor = kFocalAlpha * -(1 - pt) * (2 * pt * std::log(pt) + pt - 1);
    }
    for (int c = 0; c < rules_.classes; ++c) {
      const size_t i = static_cast<size_t>(c) * plane_;
      float value = (target(c == class_id) - p[i]) * factor;
      if (c == class_id && weighted) value *= class_multiplier(class_id) * rules_.cls_normalizer;
      set_if_finite(d[i], value);
    }
  }

  void box_delta(int a, size_t cell, const Box& truth, float multiplier) {
    float* const d = delta_ + at(a, kX, cell);
    for (size_t e = 0; e < 4; ++e)
      if (d[e * plane_] != 0) {
        ++sums_.rewritten;
        break;
      }
    float g[4];
    if (rules_.iou_loss == IouKind::mse)
      squared_error(a, cell, truth, g);
    else
      similarity(a, cell, truth, g);
    for (size_t e = 0; e < 4; ++e) {
      float value = g[e] * rules_.iou_normalizer * multiplier;
      if (rules_.iou_loss != IouKind::mse) value = std::isfinite(value) ? std::clamp(value, -rules_.max_delta, rules_.max_delta) : 0;
      d[e * plane_] += value;
    }
    touched_.push_back(at(a, kX, cell));
  }

  void squared_error(int a, size_t cell, const Box& truth, float g[4]) const {
    const float* const v = output_ + at(a, kX, cell);
    const AnchorSize& anchor = rules_.anchors[static_cast<size_t>(rules_.mask[static_cast<size_t>(a)])];
    const float column = static_cast<float>(cell % static_cast<size_t>(grid_.w)), row = static_cast<float>(cell / static_cast<size_t>(grid_.w));
    const auto size_target = [&](float size, int net, float prior) {
      const float ratio = size * static_cast<float>(net) / prior;
      return rules_.new_coords ? std::sqrt(ratio / 4) : std::log(ratio);
    };
    const float weight = 2 - truth.w * truth.h;
    g[kX] = weight * (truth.x * static_cast<float>(grid_.w) - column - v[kX * plane_]);
    g[kY] = weight * (truth.y * static_cast<float>(grid_.h) - row - v[kY * plane_]);
    g[kW] = weight * (size_target(truth.w, grid_.net_w, anchor.w) - v[kW * plane_]);
    g[kH] = weight * (size_target(truth.h, grid_.net_h, anchor.h) - v[kH * plane_]);
    if (rules_.exact_gradient) {
      g[kX] *= centre_slope(v[kX * plane_]);
      g[kY] *= centre_slope(v[kY * plane_]);
    }
  }

  void similarity(int a, size_t cell, const Box& truth, float g[4]) const {
    const float* const v = output_ + at(a, kX, cell);
    const Box box = yolo_box(rules_, grid_, output_, a, cell);
    const float w = v[kW * plane_], h = v[kH * plane_];
    if (!rules_.exact_gradient) {
      const BoxGradient s = reference_gradient(rules_.iou_loss, box, truth);
      g[kX] = s.x;
      g[kY] = s.y;
      g[kW] = rules_.new_coords ? s.w : s.w * std::exp(w);
      g[kH] = rules_.new_coords ? s.h : s.h * std::exp(h);
      return;
    }
    const BoxGradient s = exact_gradient(rules_.iou_loss, box, truth);
    const AnchorSize& anchor = rules_.anchors[static_cast<size_t>(rules_.mask[static_cast<size_t>(a)])];
    g[kX] = s.x * centre_slope(v[kX * plane_]) / static_cast<float>(grid_.w);
    g[kY] = s.y * centre_slope(v[kY * plane_]) / static_cast<float>(grid_.h);
    g[kW] = s.w * (rules_.new_coords ? 8 * w * anchor.w / static_cast<float>(grid_.net_w) : box.w);
    g[kH] = s.h * (rules_.new_coords ? 8 * h * anchor.h / static_cast<float>(grid_.net_h) : box.h);
  }

  // d v / d input of x, y, from v = s sigmoid(input) - (s - 1) / 2.
  float centre_slope(float v) const {
    const float s = rules_.scale_x_y;
    if (rules_.new_coords) return s;
    const float sigmoid = (v + (s - 1) / 2) / s;
    return s * sigmoid * (1 - sigmoid);
  }

  // A cell that took several truths of different classes: its box deltas are shared among them.
  void share_box_deltas() {
    sort_touched();
    for (const size_t first : touched_) {
      if (delta_[first + kObjectness * plane_] == 0) continue;
      int positive = 0;
      for (int c = 0; c < rules_.classes; ++c) positive += delta_[first + static_cast<size_t>(kFirstClass + c) * plane_] > 0;
      if (positive > 1)
        for (size_t e = 0; e < 4; ++e) delta_[first + e * plane_] /= static_cast<float>(positive);
    }
  }

  void sort_touched() {
    std::sort(touched_.begin(), touched_.end());
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  }

  void add_up() {
    const auto square = [&](size_t i) { return static_cast<double>(delta_[i]) * delta_[i]; };
    for (int a = 0; a < static_cast<int>(rules_.mask.size()); ++a)
      for (size_t cell = 0; cell < plane_; ++cell) sums_.other_squares += square(at(a, kObjectness, cell));
    sort_touched();
    for (const size_t first : touched_) {
      for (size_t e = 0; e < 4; ++e) sums_.box_squares += square(first + e * plane_);
      for (int c = 0; c < rules_.classes; ++c) sums_.other_squares += square(first + static_cast<size_t>(kFirstClass + c) * plane_);
    }
  }

  const YoloRules& rules_;
  const YoloGrid& grid_;
  size_t plane_;
  const float* output_;
  float* delta_;
  std::vector<TruthBox> truths_;     // those this head knows, with its class ids
  std::vector<size_t> touched_;      // offsets of the x entry of cells with box deltas
  YoloImageLoss sums_;
};

}  // namespace

float anchor_overlap(IouKind kind, const YoloRules& rules, const YoloGrid& grid, float w, float h, int anchor) {
  const AnchorSize& size = rules.anchors[static_cast<size_t>(anchor)];
  return iou_of_kind(kind, {0, 0, w, h}, {0, 0, size.w / static_cast<float>(grid.net_w), size.h / static_cast<float>(grid.net_h)});
}

int nearest_anchor(const YoloRules& rules, const YoloGrid& grid, float w, float h) {
  int nearest = 0;
  float best = 0;
  for (int n = 0; n < static_cast<int>(rules.anchors.size()); ++n) {
    const float overlap = anchor_overlap(IouKind::iou, rules, grid, w, h, n);
    if (overlap > best) best = overlap, nearest = n;
  }
  return nearest;
}

YoloImageLoss yolo_image_loss(const YoloRules& rules, const YoloGrid& grid, const float* output, std::span<const TruthBox> truths, float* delta,
                              const Rejection& rejection) {
  return ImageLoss(rules, grid, output, truths, delta).run(rejection);
}

LossReport yolo_report(const YoloRules& rules, std::span<const YoloImageLoss> images) {
  LossReport report;
  double box = 0, other = 0, dissimilarity = 0;
  for (const YoloImageLoss& image : images) {
    box += image.box_squares;
    other += image.other_squares;
    dissimilarity += image.dissimilarity_sum;
    report.iou_sum += image.iou_sum;
    report.assigned += image.assigned;
    report.truths += image.truths;
    report.rewritten += image.rewritten;
  }
  const double count = images.empty() ? 1 : static_cast<double>(images.size()), assigned = static_cast<double>(std::max<int64_t>(1, report.assigned));
  report.total_loss = (box + other) / count;
  report.class_loss = rules.obj_normalizer * other / count;
  report.iou_loss = report.total_loss - report.class_loss;
  report.cost = rules.iou_loss == IouKind::mse ? box + other : rules.iou_normalizer * dissimilarity / assigned + rules.obj_normalizer * other;
  return report;
}

}  // namespace dn
