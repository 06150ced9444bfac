#include "nn/anchor_loss.h"

#include <algorithm>
#include <cstring>

#include "nn/head_sweeps.h"

namespace dn {
namespace {

constexpr float kFocalAlpha = .5f;
constexpr float kConfidentClass = .25f;   // of any class, not only the truth's: as in the reference

void set_if_finite(float& to, float value) {
  if (std::isfinite(value)) to = value;
}

}  // namespace

std::vector<TruthBox> known_truths(std::span<const TruthBox> truths, int max, const std::function<int(int)>& class_of) {
  std::vector<TruthBox> known;
  for (const TruthBox& truth : truths) {
    if (known.size() == static_cast<size_t>(max)) break;
    const Box& b = truth.box;
    const bool usable = b.w > 0 && b.h > 0 && std::isfinite(b.w) && std::isfinite(b.h) && std::isfinite(b.x) && std::isfinite(b.y);
    if (const int class_id = class_of(truth.class_id); class_id >= 0 && usable) known.push_back({b, class_id, truth.track_id});
  }
  return known;
}

size_t cell_of(const AnchorGrid& grid, float x, float y) {
  const auto index = [](float coordinate, int cells) { return std::clamp(static_cast<int>(coordinate * static_cast<float>(cells)), 0, cells - 1); };
  return static_cast<size_t>(index(y, grid.h)) * static_cast<size_t>(grid.w) + static_cast<size_t>(index(x, grid.w));
}

void best_overlaps(const AnchorRules& rules, const AnchorGrid& grid, const float* output, int a, std::span<const TruthBox> truths, float* workspace,
                   float* best) {
  const size_t plane = grid.plane();
  for (size_t cell = 0; cell < plane; ++cell) {
    const Box box = anchor_box(rules, grid, output, a, cell);
    workspace[cell] = box.x - box.w / 2;
    workspace[plane + cell] = box.x + box.w / 2;
    workspace[2 * plane + cell] = box.y - box.h / 2;
    workspace[3 * plane + cell] = box.y + box.h / 2;
  }
  best_overlap({workspace, workspace + plane, workspace + 2 * plane, workspace + 3 * plane}, plane, truths, best);
}

float anchor_overlap(IouKind kind, const AnchorRules& rules, const AnchorGrid& grid, float w, float h, int anchor) {
  const AnchorSize& size = rules.anchors[static_cast<size_t>(anchor)];
  return iou_of_kind(kind, {0, 0, w, h}, {0, 0, size.w / static_cast<float>(grid.net_w), size.h / static_cast<float>(grid.net_h)});
}

int nearest_anchor(const AnchorRules& rules, const AnchorGrid& grid, float w, float h) {
  int nearest = 0;
  float best = 0;
  for (int n = 0; n < static_cast<int>(rules.anchors.size()); ++n) {
    const float overlap = anchor_overlap(IouKind::iou, rules, grid, w, h, n);
    if (overlap > best) best = overlap, nearest = n;
  }
  return nearest;
}

float focal_factor(float p) {
  const float pt = p + 1e-15f;
  return kFocalAlpha * -(1 - pt) * (2 * pt * std::log(pt) + pt - 1);
}

AnchorLoss::AnchorLoss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths, float* delta)
    : rules_(rules), grid_(grid), plane_(grid.plane()), output_(output), delta_(delta),
      truths_(known_truths(truths, rules.max_truths, [&](int label) { return rules.class_of(label); })) {}

AnchorImageLoss AnchorLoss::run(const Rejection& rejection) {
  sums_.truths = static_cast<int64_t>(truths_.size());
  for (int a = 0; a < static_cast<int>(rules_.mask.size()); ++a) score_anchor(a);
  for (const TruthBox& truth : truths_) each_assignment(rules_, grid_, truth.box, [&](int a, size_t cell) { assign_to(a, cell, truth); });
  if (rules_.iou_thresh < 1 || rules_.uncertain) share_box_deltas();
  if (rejection.sums) *rejection.sums = reject_labels({delta_, static_cast<size_t>(rules_.channels()) * plane_}, rejection.bounds);
  add_up();
  return sums_;
}

// Every cell of one anchor: objectness towards 0 except where a truth is met well enough. The anchor's first six delta planes serve as workspace:
// box edges, best overlap, largest class probability.
void AnchorLoss::score_anchor(int a) {
  float* const d = delta_ + at(a, 0, 0);
  const float* const classes = output_ + at(a, rules_.first_class(), 0);
  const bool gated = !rules_.uncertain;
  std::vector<std::pair<size_t, float>> kept;   // cells with an overlap above a threshold, and the overlap
  if (!truths_.empty()) {
    float* const best = d + 4 * plane_;
    float* const largest = d + 5 * plane_;
    best_overlaps(rules_, grid_, output_, a, truths_, d, best);
    std::memcpy(largest, classes, plane_ * sizeof(float));
    for (int c = 1; c < rules_.classes; ++c) take_larger(largest, classes + static_cast<size_t>(c) * plane_, plane_);
    for (size_t cell = 0; cell < plane_; ++cell) {
      const float match = !gated || largest[cell] > kConfidentClass ? best[cell] : 0;
      if (match > rules_.ignore_thresh || best[cell] > rules_.truth_thresh) kept.push_back({cell, match});
    }
  }
  std::memset(d, 0, static_cast<size_t>(rules_.entries()) * plane_ * sizeof(float));
  const float* const objectness = output_ + at(a, rules_.objectness(), 0);
  float* const delta = delta_ + at(a, rules_.objectness(), 0);
  for (size_t cell = 0; cell < plane_; ++cell) delta[cell] = rules_.obj_normalizer * (0 - objectness[cell]);
  for (const auto& [cell, match] : kept) meet(a, cell, match);
}

// A cell whose box overlaps some truth: no objectness delta (or the overlap as target), and above truth_thresh a positive without assignment.
void AnchorLoss::meet(int a, size_t cell, float match) {
  const float p = output_[at(a, rules_.objectness(), cell)];
  float& delta = delta_[at(a, rules_.objectness(), cell)];
  if (match > rules_.ignore_thresh) delta = rules_.objectness_smooth ? rules_.obj_normalizer * (match - p) : 0;
  if (!(rules_.truth_thresh < 1)) return;
  const Box box = anchor_box(rules_, grid_, output_, a, cell);
  float best = 0;
  const TruthBox* nearest = nullptr;
  for (const TruthBox& truth : truths_)
    if (const float overlap = iou(box, truth.box); overlap > best) best = overlap, nearest = &truth;
  if (!nearest || !(best > rules_.truth_thresh)) return;
  const float target = !rules_.objectness_smooth ? 1 : rules_.exact_gradient ? best : best * best;
  delta = rules_.obj_normalizer * (target - p);
  class_delta(a, cell, nearest->class_id);
  add_box_delta(a, cell, nearest->box, class_multiplier(nearest->class_id));
}

void AnchorLoss::assign_to(int a, size_t cell, const TruthBox& truth) {
  const float multiplier = class_multiplier(truth.class_id);
  const Box box = anchor_box(rules_, grid_, output_, a, cell);
  add_box_delta(a, cell, truth.box, multiplier);
  float& objectness = delta_[at(a, rules_.objectness(), cell)];
  if (rules_.objectness_smooth && rules_.exact_gradient)
    objectness = multiplier * rules_.obj_normalizer * (largest_overlap(box) - output_[at(a, rules_.objectness(), cell)]);
  else if (!rules_.objectness_smooth || objectness == 0)   // otherwise what meet() or score_anchor() left stays
    objectness = multiplier * rules_.obj_normalizer * (1 - output_[at(a, rules_.objectness(), cell)]);
  class_delta(a, cell, truth.class_id);
  ++sums_.assigned;
  sums_.iou_sum += iou(box, truth.box);
  sums_.dissimilarity_sum += 1 - (rules_.iou_loss == IouKind::giou ? giou(box, truth.box) : iou(box, truth.box));
}

float AnchorLoss::largest_overlap(const Box& box) const {
  float best = 0;
  for (const TruthBox& truth : truths_) best = std::max(best, iou(box, truth.box));   // NaN is passed over
  return best;
}

float AnchorLoss::class_multiplier(int class_id) const {
  return rules_.class_multipliers.empty() ? 1 : rules_.class_multipliers[static_cast<size_t>(class_id)];
}

// The first truth of a cell sets all classes; a later one of another class only its own, so a cell can have several.
void AnchorLoss::class_delta(int a, size_t cell, int class_id) {
  const float* const p = output_ + at(a, rules_.first_class(), cell);
  float* const d = delta_ + at(a, rules_.first_class(), cell);
  const float eps = rules_.label_smooth_eps;
  const auto target = [&](bool positive) { return (positive ? 1 - eps : 0) + eps / 2; };
  const size_t own = static_cast<size_t>(class_id) * plane_;
  const bool weighted = !rules_.class_multipliers.empty();
  if (d[own] != 0) {
    const float value = target(true) - p[own];
    set_if_finite(d[own], weighted ? value * class_multiplier(class_id) : value);
    return;
  }
  const float factor = rules_.focal_loss ? focal_factor(p[own]) : 1;
  for (int c = 0; c < rules_.classes; ++c) {
    const size_t i = static_cast<size_t>(c) * plane_;
    float value = (target(c == class_id) - p[i]) * factor;
    if (c == class_id && weighted) value *= class_multiplier(class_id) * rules_.cls_normalizer;
    set_if_finite(d[i], value);
  }
}

void AnchorLoss::add_box_delta(int a, size_t cell, const Box& truth, float multiplier) {
  float* const d = delta_ + at(a, 0, cell);
  for (const BoxEntry e : {kX, kY, kW, kH})
    if (d[static_cast<size_t>(rules_.entry_of(e)) * plane_] != 0) {
      ++sums_.rewritten;
      break;
    }
  float g[8];
  box_delta(a, cell, truth, multiplier, g);
  for (int e = 0; e < rules_.objectness(); ++e) d[static_cast<size_t>(e) * plane_] += g[e];
  touched_.push_back(at(a, 0, cell));
}

void AnchorLoss::targets(int a, size_t cell, const Box& truth, float t[4]) const {
  const float column = static_cast<float>(cell % static_cast<size_t>(grid_.w)), row = static_cast<float>(cell / static_cast<size_t>(grid_.w));
  const auto size = [&](float side, int net, float prior) {
    const float ratio = side * static_cast<float>(net) / prior;
    return rules_.new_coords ? std::sqrt(ratio / 4) : std::log(ratio);
  };
  t[kX] = point_x(rules_, truth) * static_cast<float>(grid_.w) - column;
  t[kY] = point_y(rules_, truth) * static_cast<float>(grid_.h) - row;
  t[kW] = size(truth.w, grid_.net_w, anchor(a).w);
  t[kH] = size(truth.h, grid_.net_h, anchor(a).h);
}

void AnchorLoss::similarity_gradient(int a, size_t cell, const Box& truth, float g[4]) const {
  const Box box = anchor_box(rules_, grid_, output_, a, cell);
  const float w = value(a, kW, cell), h = value(a, kH, cell);
  if (!rules_.exact_gradient) {
    const BoxGradient s = reference_gradient(rules_.iou_loss, box, truth);
    g[kX] = s.x;
    g[kY] = s.y;
    g[kW] = rules_.new_coords ? s.w : s.w * std::exp(w);
    g[kH] = rules_.new_coords ? s.h : s.h * std::exp(h);
    return;
  }
  BoxGradient s = exact_gradient(rules_.iou_loss, box, truth);
  if (rules_.point != BoxPoint::center) {   // the centre moves with the size
    const float away = rules_.point == BoxPoint::left_top ? .5f : -.5f;
    s.w += away * s.x;
    s.h += away * s.y;
  }
  g[kX] = s.x * position_slope(value(a, kX, cell)) / static_cast<float>(grid_.w);
  g[kY] = s.y * position_slope(value(a, kY, cell)) / static_cast<float>(grid_.h);
  g[kW] = s.w * (rules_.new_coords ? 8 * w * anchor(a).w / static_cast<float>(grid_.net_w) : box.w);
  g[kH] = s.h * (rules_.new_coords ? 8 * h * anchor(a).h / static_cast<float>(grid_.net_h) : box.h);
}

float AnchorLoss::position_slope(float v) const {
  const float s = rules_.scale_x_y;
  if (rules_.new_coords) return s;
  const float sigmoid = (v + (s - 1) / 2) / s;
  return s * sigmoid * (1 - sigmoid);
}

float AnchorLoss::bounded(float value) const { return std::isfinite(value) ? std::clamp(value, -rules_.max_delta, rules_.max_delta) : 0; }

// A cell that took several truths of different classes: its box deltas are shared among them.
void AnchorLoss::share_box_deltas() {
  sort_touched();
  for (const size_t first : touched_) {
    if (delta_[first + static_cast<size_t>(rules_.objectness()) * plane_] == 0) continue;
    int positive = 0;
    for (int c = 0; c < rules_.classes; ++c) positive += delta_[first + static_cast<size_t>(rules_.first_class() + c) * plane_] > 0;
    if (positive > 1)
      for (int e = 0; e < rules_.objectness(); ++e) delta_[first + static_cast<size_t>(e) * plane_] /= static_cast<float>(positive);
  }
}

void AnchorLoss::sort_touched() {
  std::sort(touched_.begin(), touched_.end());
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
}

void AnchorLoss::add_up() {
  const auto square = [&](size_t i) { return static_cast<double>(delta_[i]) * delta_[i]; };
  for (int a = 0; a < static_cast<int>(rules_.mask.size()); ++a)
    for (size_t cell = 0; cell < plane_; ++cell) sums_.other_squares += square(at(a, rules_.objectness(), cell));
  sort_touched();
  const int step = rules_.values_per_coordinate();
  for (const size_t first : touched_)
    for (int e = 0; e < rules_.entries(); ++e) {
      if (e == rules_.objectness()) continue;
      const bool of_the_box = e < rules_.objectness() && e % step == 0;
      (of_the_box ? sums_.box_squares : sums_.other_squares) += square(first + static_cast<size_t>(e) * plane_);
    }
}

LossReport anchor_report(const AnchorRules& rules, std::span<const AnchorImageLoss> images) {
  LossReport report;
  double box = 0, other = 0, dissimilarity = 0;
  for (const AnchorImageLoss& image : images) {
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
