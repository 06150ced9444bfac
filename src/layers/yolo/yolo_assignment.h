// Which cells of a [yolo] head a truth is assigned to: the cell of its centre, with the anchor of all whose shape is nearest (if this head has it) and,
// with iou_thresh < 1, every other anchor of this head whose shape overlaps by more than that. Shapes only; the head's output has no say.
#pragma once

#include <algorithm>
#include <cmath>

#include "image/truth.h"
#include "layers/yolo/yolo_loss.h"
#include "layers/yolo/yolo_rules.h"

namespace dn {

inline bool yolo_usable(const TruthBox& truth) {
  const Box& b = truth.box;
  return b.w > 0 && b.h > 0 && std::isfinite(b.w) && std::isfinite(b.h) && std::isfinite(b.x) && std::isfinite(b.y);
}

// The truths a head learns from, with its own class ids.
inline std::vector<TruthBox> yolo_known_truths(const YoloRules& rules, std::span<const TruthBox> truths) {
  std::vector<TruthBox> known;
  for (const TruthBox& truth : truths) {
    if (known.size() == static_cast<size_t>(rules.max_truths)) break;
    const int class_id = rules.class_of(truth.class_id);
    if (class_id >= 0 && yolo_usable(truth)) known.push_back({truth.box, class_id, truth.track_id});
  }
  return known;
}

// The cell of a coordinate in 0..1; 1 itself belongs to the last.
inline int yolo_cell_of(float coordinate, int cells) { return std::clamp(static_cast<int>(coordinate * static_cast<float>(cells)), 0, cells - 1); }

// visit(position in the mask, cell) for each; the nearest anchor first.
template <class Visit>
void each_assignment(const YoloRules& rules, const YoloGrid& grid, const Box& truth, const Visit& visit) {
  const size_t cell =
      static_cast<size_t>(yolo_cell_of(truth.y, grid.h)) * static_cast<size_t>(grid.w) + static_cast<size_t>(yolo_cell_of(truth.x, grid.w));
  const int nearest = nearest_anchor(rules, grid, truth.w, truth.h);
  if (const int a = rules.mask_position(nearest); a >= 0) visit(a, cell);
  if (!(rules.iou_thresh < 1)) return;
  for (int n = 0; n < static_cast<int>(rules.anchors.size()); ++n) {
    const int a = rules.mask_position(n);
    if (a < 0 || n == nearest) continue;
    if (anchor_overlap(rules.iou_thresh_kind, rules, grid, truth.w, truth.h, n) > rules.iou_thresh) visit(a, cell);
  }
}

}  // namespace dn
