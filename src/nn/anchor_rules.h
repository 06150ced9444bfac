// A head of anchors ([yolo], [Gaussian_yolo]): its keys in the form its arithmetic wants, and where things lie in its output. Plain data; no layer.
//
// One image of the output is [anchor of mask][entry][row][column], entries x, y, w, h, objectness, classes...; with `uncertain` each of the first four
// is followed by its uncertainty: x, sx, y, sy, w, sw, h, sh, objectness, classes... All but w and h are already through the sigmoid (new_coords: the
// convolution before did that for all entries) and x, y through scale_x_y: v := s v - (s - 1) / 2.
//   point = (column + x) / columns, (row + y) / rows        size = e^w anchor / network size,  new_coords: 4 w^2 anchor / network size
// The point is the centre of the box, or with yolo_point a corner of it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "base/host_device.h"
#include "image/box.h"

namespace dn {

struct AnchorSize {
  float w = 0, h = 0;  // pixels of the network input
};

enum class BoxPoint { center, left_top, right_bottom };  // what x, y mean

enum BoxEntry { kX = 0, kY = 1, kW = 2, kH = 3 };

// The keys that are single numbers.
struct AnchorNumbers {
  int classes = 20;
  int max_truths = 200;
  bool new_coords = false;
  float scale_x_y = 1;
  IouKind iou_loss = IouKind::mse, iou_thresh_kind = IouKind::iou;
  float ignore_thresh = .5f, truth_thresh = 1, iou_thresh = 1;
  float iou_normalizer = .75f, obj_normalizer = 1, cls_normalizer = 1, delta_normalizer = 1;
  float max_delta = std::numeric_limits<float>::max();
  float label_smooth_eps = 0;
  bool focal_loss = false, objectness_smooth = false, exact_gradient = false;
  bool uncertain = false;
  float uc_normalizer = 1;
  BoxPoint point = BoxPoint::center;

  DN_HD int values_per_coordinate() const { return uncertain ? 2 : 1; }
  DN_HD int entry_of(BoxEntry e) const { return e * values_per_coordinate(); }
  DN_HD int objectness() const { return 4 * values_per_coordinate(); }
  DN_HD int first_class() const { return objectness() + 1; }
  DN_HD int entries() const { return first_class() + classes; }
  DN_HD bool is_size(int entry) const { return entry == entry_of(kW) || entry == entry_of(kH); }
  DN_HD bool is_position(int entry) const { return entry == entry_of(kX) || entry == entry_of(kY); }
};

struct AnchorRules : AnchorNumbers {
  std::vector<AnchorSize> anchors;          // all of the network's
  std::vector<int> mask;                    // this head's, in the order of its output
  std::vector<float> class_multipliers;     // per class; empty: none
  std::vector<int> class_map;               // class of the labels -> class of the head; empty: the same

  int channels() const { return static_cast<int>(mask.size()) * entries(); }
  int mask_position(int anchor) const {     // -1: another head's
    for (size_t i = 0; i < mask.size(); ++i)
      if (mask[i] == anchor) return static_cast<int>(i);
    return -1;
  }
  // The head's class of a label, or -1 when it has none.
  int class_of(int label) const {
    if (label >= 0 && !class_map.empty()) label = static_cast<size_t>(label) < class_map.size() ? class_map[static_cast<size_t>(label)] : -1;
    return label >= 0 && label < classes ? label : -1;
  }
};

// The rules as the arithmetic sees them, on the host and in GPU kernels: the lists lie in memory of that side and are not owned.
struct AnchorView : AnchorNumbers {
  const AnchorSize* anchors = nullptr;
  int anchor_count = 0;
  const int* mask = nullptr;
  int mask_count = 0;
  const float* class_multipliers = nullptr;   // null: none

  DN_HD const AnchorSize& own_anchor(int mask_position) const { return anchors[mask[mask_position]]; }
  DN_HD int mask_position(int anchor) const {
    for (int i = 0; i < mask_count; ++i)
      if (mask[i] == anchor) return i;
    return -1;
  }
};

inline AnchorView view_of(const AnchorRules& rules) {
  return {rules,
          rules.anchors.data(),
          static_cast<int>(rules.anchors.size()),
          rules.mask.data(),
          static_cast<int>(rules.mask.size()),
          rules.class_multipliers.empty() ? nullptr : rules.class_multipliers.data()};
}

struct AnchorGrid {
  int w = 0, h = 0;           // cells
  int net_w = 0, net_h = 0;   // network input, pixels
  DN_HD size_t plane() const { return static_cast<size_t>(w) * static_cast<size_t>(h); }
};

// Offset of an entry's plane in one image.
DN_HD inline size_t anchor_plane(const AnchorNumbers& rules, const AnchorGrid& grid, int mask_position, int entry) {
  return static_cast<size_t>(mask_position * rules.entries() + entry) * grid.plane();
}

// Where the point of a box lies: the truth's counterpart of x, y.
DN_HD inline float point_x(const AnchorNumbers& rules, const Box& box) {
  return rules.point == BoxPoint::center ? box.x : rules.point == BoxPoint::left_top ? box.x - box.w / 2 : box.x + box.w / 2;
}
DN_HD inline float point_y(const AnchorNumbers& rules, const Box& box) {
  return rules.point == BoxPoint::center ? box.y : rules.point == BoxPoint::left_top ? box.y - box.h / 2 : box.y + box.h / 2;
}

// The cell (row * columns + column) of a point in 0..1; 1 itself belongs to the last column or row.
DN_HD inline size_t cell_of(const AnchorGrid& grid, float x, float y) {
  const auto index = [](float coordinate, int cells) { return std::clamp(static_cast<int>(coordinate * static_cast<float>(cells)), 0, cells - 1); };
  return static_cast<size_t>(index(y, grid.h)) * static_cast<size_t>(grid.w) + static_cast<size_t>(index(x, grid.w));
}

// The box at `cell` (row * columns + column) of one image's output; `anchor` is the one at that position of the mask.
DN_HD inline Box anchor_box(const AnchorNumbers& rules, const AnchorSize& anchor, const AnchorGrid& grid, const float* output, int mask_position,
                            size_t cell) {
  const size_t plane = grid.plane(), step = static_cast<size_t>(rules.values_per_coordinate()) * plane;
  const float* v = output + anchor_plane(rules, grid, mask_position, kX) + cell;
  const float column = static_cast<float>(cell % static_cast<size_t>(grid.w)), row = static_cast<float>(cell / static_cast<size_t>(grid.w));
  const float w = v[kW * step], h = v[kH * step];
  Box box{(column + v[kX * step]) / static_cast<float>(grid.w), (row + v[kY * step]) / static_cast<float>(grid.h),
          (rules.new_coords ? 4 * w * w : std::exp(w)) * anchor.w / static_cast<float>(grid.net_w),
          (rules.new_coords ? 4 * h * h : std::exp(h)) * anchor.h / static_cast<float>(grid.net_h)};
  if (rules.point == BoxPoint::center) return box;
  const float away = rules.point == BoxPoint::left_top ? .5f : -.5f;
  box.x += away * box.w;
  box.y += away * box.h;
  return box;
}
inline Box anchor_box(const AnchorRules& rules, const AnchorGrid& grid, const float* output, int mask_position, size_t cell) {
  return anchor_box(rules, rules.anchors[static_cast<size_t>(rules.mask[static_cast<size_t>(mask_position)])], grid, output, mask_position, cell);
}

}  // namespace dn
