// A [yolo] head's keys in the form its arithmetic wants, and where things lie in its output. Plain data; no layer, no device.
//
// One image of the output is [anchor of mask][entry][row][column], entries x, y, w, h, objectness, classes...; x, y, objectness and classes are
// already through the sigmoid (new_coords: the convolution before did that for all entries) and x, y through scale_x_y: v := s v - (s - 1) / 2.
//   centre = (column + x) / columns, (row + y) / rows        size = e^w anchor / network size,  new_coords: 4 w^2 anchor / network size
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "image/box.h"

namespace dn {

struct AnchorSize {
  float w = 0, h = 0;  // pixels of the network input
};

struct YoloRules {
  int classes = 20;
  int max_truths = 200;
  std::vector<AnchorSize> anchors;          // all of the network's
  std::vector<int> mask;                    // this head's, in the order of its output
  bool new_coords = false;
  float scale_x_y = 1;
  IouKind iou_loss = IouKind::mse, iou_thresh_kind = IouKind::iou;
  float ignore_thresh = .5f, truth_thresh = 1, iou_thresh = 1;
  float iou_normalizer = .75f, obj_normalizer = 1, cls_normalizer = 1, delta_normalizer = 1;
  float max_delta = std::numeric_limits<float>::max();
  float label_smooth_eps = 0;
  bool focal_loss = false, objectness_smooth = false, exact_gradient = false;
  std::vector<float> class_multipliers;     // per class; empty: none
  std::vector<int> class_map;               // class of the labels -> class of the head; empty: the same

  int entries() const { return 5 + classes; }
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

struct YoloGrid {
  int w = 0, h = 0;           // cells
  int net_w = 0, net_h = 0;   // network input, pixels
  size_t plane() const { return static_cast<size_t>(w) * static_cast<size_t>(h); }
};

enum YoloEntry { kX = 0, kY = 1, kW = 2, kH = 3, kObjectness = 4, kFirstClass = 5 };

// Offset of an entry's plane in one image.
inline size_t yolo_plane(const YoloRules& rules, const YoloGrid& grid, int mask_position, int entry) {
  return static_cast<size_t>(mask_position * rules.entries() + entry) * grid.plane();
}

// The box at `cell` (row * columns + column) of one image's output.
inline Box yolo_box(const YoloRules& rules, const YoloGrid& grid, const float* output, int mask_position, size_t cell) {
  const float* v = output + yolo_plane(rules, grid, mask_position, kX) + cell;
  const size_t plane = grid.plane();
  const AnchorSize& anchor = rules.anchors[static_cast<size_t>(rules.mask[static_cast<size_t>(mask_position)])];
  const float column = static_cast<float>(cell % static_cast<size_t>(grid.w)), row = static_cast<float>(cell / static_cast<size_t>(grid.w));
  const float w = v[kW * plane], h = v[kH * plane];
  return {(column + v[kX * plane]) / static_cast<float>(grid.w), (row + v[kY * plane]) / static_cast<float>(grid.h),
          (rules.new_coords ? 4 * w * w : std::exp(w)) * anchor.w / static_cast<float>(grid.net_w),
          (rules.new_coords ? 4 * h * h : std::exp(h)) * anchor.h / static_cast<float>(grid.net_h)};
}

}  // namespace dn
