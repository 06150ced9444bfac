// What the cells of a head of anchors learn from an image's truths (the formulas are in anchor_loss.h), for the host and for GPU kernels. In which order
// cells and truths are met is the caller's.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "image/truth.h"
#include "nn/anchor_rules.h"

namespace dn {

// Sums over one image.
struct AnchorImageLoss {
  double box_squares = 0, other_squares = 0;  // of the deltas of x, y, w, h; of all others
  double iou_sum = 0;                         // over the assignments
  double dissimilarity_sum = 0;               // 1 - IoU, or 1 - GIoU when that is the loss
  int64_t assigned = 0, truths = 0, rewritten = 0;
};

// One assignment.
struct AnchorMatch {
  float overlap = 0, dissimilarity = 0;  // IoU; 1 - IoU or 1 - GIoU
  bool rewritten = false;                // the cell had a truth already
};

// Overlap of the shape w x h (relative) with one of all anchors, centres aligned.
DN_HD inline float anchor_overlap(IouKind kind, const AnchorView& rules, const AnchorGrid& grid, float w, float h, int anchor) {
  const AnchorSize& size = rules.anchors[anchor];
  return iou_of_kind(kind, {0, 0, w, h}, {0, 0, size.w / static_cast<float>(grid.net_w), size.h / static_cast<float>(grid.net_h)});
}

// The anchor of all whose shape overlaps a truth of w x h (relative) most, centres aligned; the first of equals.
DN_HD inline int nearest_anchor(const AnchorView& rules, const AnchorGrid& grid, float w, float h) {
  int nearest = 0;
  float best = 0;
  for (int n = 0; n < rules.anchor_count; ++n) {
    const float overlap = anchor_overlap(IouKind::iou, rules, grid, w, h, n);
    if (overlap > best) best = overlap, nearest = n;
  }
  return nearest;
}

// visit(position in the mask, cell) for each place of this head that a truth is assigned to; the nearest anchor first. Shapes only; the head's output
// has no say.
template <class Visit>
DN_HD void each_assignment(const AnchorView& rules, const AnchorGrid& grid, const Box& truth, const Visit& visit) {
  const size_t cell = cell_of(grid, point_x(rules, truth), point_y(rules, truth));
  const int nearest = nearest_anchor(rules, grid, truth.w, truth.h);
  if (const int a = rules.mask_position(nearest); a >= 0) visit(a, cell);
  if (!(rules.iou_thresh < 1)) return;
  for (int n = 0; n < rules.anchor_count; ++n) {
    const int a = rules.mask_position(n);
    if (a < 0 || n == nearest) continue;
    if (anchor_overlap(rules.iou_thresh_kind, rules, grid, truth.w, truth.h, n) > rules.iou_thresh) visit(a, cell);
  }
}

// Weight of the class gradient by the focal loss, gamma 2, alpha .5, when the class has probability p.
DN_HD inline float focal_factor(float p) {
  const float pt = p + 1e-15f;
  return .5f * -(1 - pt) * (2 * pt * std::log(pt) + pt - 1);
}

inline constexpr float kConfidentClass = .25f;  // of any class, not only the truth's: as in the reference

// One image. output, delta: [C,H,W]. `teach(cells, a, cell, truth box, multiplier, g)` is what heads differ in: what one truth adds to the delta of the
// box entries of a cell, weights included: x, y, w, h, each followed by its uncertainty where there is one; `multiplier` is that of the truth's class.
struct AnchorCells {
  AnchorView rules;
  AnchorGrid grid;
  const float* output = nullptr;
  float* delta = nullptr;
  const TruthBox* truths = nullptr;  // those this head knows, with its class ids
  int truth_count = 0;

  DN_HD size_t at(int a, int entry, size_t cell) const { return anchor_plane(rules, grid, a, entry) + cell; }
  DN_HD float value(int a, BoxEntry e, size_t cell) const { return output[at(a, rules.entry_of(e), cell)]; }
  DN_HD float objectness(int a, size_t cell) const { return output[at(a, rules.objectness(), cell)]; }
  DN_HD Box box(int a, size_t cell) const { return anchor_box(rules, rules.own_anchor(a), grid, output, a, cell); }
  DN_HD float class_multiplier(int class_id) const { return rules.class_multipliers ? rules.class_multipliers[class_id] : 1; }

  DN_HD float largest_overlap(const Box& box) const {
    float best = 0;
    for (int t = 0; t < truth_count; ++t) best = std::max(best, iou(box, truths[t].box));  // NaN is passed over
    return best;
  }

  // Whether an overlap counts only where some class is confident, and whether a cell of this overlap (counted; in any case) is one to meet().
  DN_HD bool gated() const { return !rules.uncertain; }
  DN_HD bool meets(float match, float best) const { return match > rules.ignore_thresh || best > rules.truth_thresh; }

  // Objectness towards 0.
  DN_HD void push_down(int a, size_t cell) const { delta[at(a, rules.objectness(), cell)] = rules.obj_normalizer * (0 - objectness(a, cell)); }

  // A cell whose box overlaps some truth by `match`: no objectness delta (or the overlap as target), and above truth_thresh a positive without assignment.
  // Whether it was taught a box.
  template <class Teach>
  DN_HD bool meet(int a, size_t cell, float match, const Teach& teach) const {
    const float p = objectness(a, cell);
    float& d = delta[at(a, rules.objectness(), cell)];
    if (match > rules.ignore_thresh) d = rules.objectness_smooth ? rules.obj_normalizer * (match - p) : 0;
    if (!(rules.truth_thresh < 1)) return false;
    const Box predicted = box(a, cell);
    float best = 0;
    const TruthBox* nearest = nullptr;
    for (int t = 0; t < truth_count; ++t)
      if (const float overlap = iou(predicted, truths[t].box); overlap > best) best = overlap, nearest = truths + t;
    if (!nearest || !(best > rules.truth_thresh)) return false;
    const float target = !rules.objectness_smooth ? 1 : rules.exact_gradient ? best : best * best;
    d = rules.obj_normalizer * (target - p);
    class_delta(a, cell, nearest->class_id);
    add_box_delta(a, cell, nearest->box, class_multiplier(nearest->class_id), teach);
    return true;
  }

  template <class Teach>
  DN_HD AnchorMatch assign(int a, size_t cell, const TruthBox& truth, const Teach& teach) const {
    const float multiplier = class_multiplier(truth.class_id);
    const Box predicted = box(a, cell);
    AnchorMatch match;
    match.rewritten = add_box_delta(a, cell, truth.box, multiplier, teach);
    const float p = objectness(a, cell);
    float& d = delta[at(a, rules.objectness(), cell)];
    if (rules.objectness_smooth && rules.exact_gradient)
      d = multiplier * rules.obj_normalizer * (largest_overlap(predicted) - p);
    else if (!rules.objectness_smooth || d == 0)  // otherwise what meet() or push_down() left stays
      d = multiplier * rules.obj_normalizer * (1 - p);
    class_delta(a, cell, truth.class_id);
    match.overlap = iou(predicted, truth.box);
    match.dissimilarity = 1 - (rules.iou_loss == IouKind::giou ? giou(predicted, truth.box) : match.overlap);
    return match;
  }

  // The first truth of a cell sets all classes; a later one of another class only its own, so a cell can have several.
  DN_HD void class_delta(int a, size_t cell, int class_id) const {
    const size_t plane = grid.plane(), own = static_cast<size_t>(class_id) * plane;
    const float* __restrict const p = output + at(a, rules.first_class(), cell);
    float* __restrict const d = delta + at(a, rules.first_class(), cell);
    const float eps = rules.label_smooth_eps;
    const auto target = [&](bool positive) { return (positive ? 1 - eps : 0) + eps / 2; };
    const bool weighted = rules.class_multipliers != nullptr;
    if (d[own] != 0) {
      const float taught = target(true) - p[own];
      set_if_finite(d[own], weighted ? taught * class_multiplier(class_id) : taught);
      return;
    }
    const float factor = rules.focal_loss ? focal_factor(p[own]) : 1;
    for (int c = 0; c < rules.classes; ++c) {
      const size_t i = static_cast<size_t>(c) * plane;
      float taught = (target(c == class_id) - p[i]) * factor;
      if (c == class_id && weighted) taught *= class_multiplier(class_id) * rules.cls_normalizer;
      set_if_finite(d[i], taught);
    }
  }

  // Whether the cell had a box delta already.
  template <class Teach>
  DN_HD bool add_box_delta(int a, size_t cell, const Box& truth, float multiplier, const Teach& teach) const {
    const size_t plane = grid.plane();
    float* const d = delta + at(a, 0, cell);
    bool rewritten = false;
    for (int e = kX; e <= kH; ++e) rewritten |= d[static_cast<size_t>(rules.entry_of(static_cast<BoxEntry>(e))) * plane] != 0;
    float g[8] = {};
    teach(*this, a, cell, truth, multiplier, g);
    for (int e = 0; e < rules.objectness(); ++e) d[static_cast<size_t>(e) * plane] += g[e];
    return rewritten;
  }

  // A cell that took several truths of different classes: its box deltas are shared among them. `first`: offset of its x entry.
  DN_HD void share_box_delta(size_t first) const {
    const size_t plane = grid.plane();
    float* const d = delta + first;
    if (d[static_cast<size_t>(rules.objectness()) * plane] == 0) return;
    int positive = 0;
    for (int c = 0; c < rules.classes; ++c) positive += d[static_cast<size_t>(rules.first_class() + c) * plane] > 0;
    if (positive > 1)
      for (int e = 0; e < rules.objectness(); ++e) d[static_cast<size_t>(e) * plane] /= static_cast<float>(positive);
  }
  DN_HD bool shares_box_deltas() const { return rules.iou_thresh < 1 || rules.uncertain; }

  // Squares of the deltas of a cell that was taught a box or classes, but for objectness, which is summed over all cells.
  DN_HD void add_squares(size_t first, AnchorImageLoss& sums) const {
    const int step = rules.values_per_coordinate();
    for (int e = 0; e < rules.entries(); ++e) {
      if (e == rules.objectness()) continue;
      const bool of_the_box = e < rules.objectness() && e % step == 0;
      (of_the_box ? sums.box_squares : sums.other_squares) += square(first + static_cast<size_t>(e) * grid.plane());
    }
  }
  DN_HD double square(size_t i) const { return static_cast<double>(delta[i]) * delta[i]; }

  // What x, y, w, h of a cell should be for this box.
  DN_HD void targets(int a, size_t cell, const Box& truth, float t[4]) const {
    const float column = static_cast<float>(cell % static_cast<size_t>(grid.w)), row = static_cast<float>(cell / static_cast<size_t>(grid.w));
    const auto size = [&](float side, int net, float prior) {
      const float ratio = side * static_cast<float>(net) / prior;
      return rules.new_coords ? std::sqrt(ratio / 4) : std::log(ratio);
    };
    t[kX] = point_x(rules, truth) * static_cast<float>(grid.w) - column;
    t[kY] = point_y(rules, truth) * static_cast<float>(grid.h) - row;
    t[kW] = size(truth.w, grid.net_w, rules.own_anchor(a).w);
    t[kH] = size(truth.h, grid.net_h, rules.own_anchor(a).h);
  }

  // d similarity / d output for iou, giou, diou, ciou: box.h reference_gradient, with e^w and e^h in w and h; with exact_gradient the derivative with
  // respect to the head's inputs: through the box, anchors, network size, exp (new_coords: the square), scale_x_y and the sigmoid.
  DN_HD void similarity_gradient(int a, size_t cell, const Box& truth, float g[4]) const {
    const Box predicted = box(a, cell);
    const float w = value(a, kW, cell), h = value(a, kH, cell);
    if (!rules.exact_gradient) {
      const BoxGradient s = reference_gradient(rules.iou_loss, predicted, truth);
      g[kX] = s.x;
      g[kY] = s.y;
      g[kW] = rules.new_coords ? s.w : s.w * std::exp(w);
      g[kH] = rules.new_coords ? s.h : s.h * std::exp(h);
      return;
    }
    BoxGradient s = dn::exact_gradient(rules.iou_loss, predicted, truth);
    if (rules.point != BoxPoint::center) {  // the centre moves with the size
      const float away = rules.point == BoxPoint::left_top ? .5f : -.5f;
      s.w += away * s.x;
      s.h += away * s.y;
    }
    const AnchorSize& anchor = rules.own_anchor(a);
    g[kX] = s.x * position_slope(value(a, kX, cell)) / static_cast<float>(grid.w);
    g[kY] = s.y * position_slope(value(a, kY, cell)) / static_cast<float>(grid.h);
    g[kW] = s.w * (rules.new_coords ? 8 * w * anchor.w / static_cast<float>(grid.net_w) : predicted.w);
    g[kH] = s.h * (rules.new_coords ? 8 * h * anchor.h / static_cast<float>(grid.net_h) : predicted.h);
  }

  // d v / d input of x, y, from v = s sigmoid(input) - (s - 1) / 2.
  DN_HD float position_slope(float v) const {
    const float s = rules.scale_x_y;
    if (rules.new_coords) return s;
    const float sigmoid = (v + (s - 1) / 2) / s;
    return s * sigmoid * (1 - sigmoid);
  }

  // Within +-max_delta; 0 for what is not finite.
  DN_HD float bounded(float value) const { return std::isfinite(value) ? std::clamp(value, -rules.max_delta, rules.max_delta) : 0; }

  DN_HD static void set_if_finite(float& to, float value) {
    if (std::isfinite(value)) to = value;
  }
};

}  // namespace dn
