// What the cells of a [region] head learn from an image's truths (the formulas are in region_loss.h), for the host and for GPU kernels. In which order
// cells and truths are met is the caller's.
#pragma once

#include "layers/region/region_rules.h"
#include "nn/anchor_cells.h"
#include "nn/kernel.h"

namespace dn {

// One image. output, delta: [C,H,W]; delta is 0 at first.
struct RegionCells {
  RegionView rules;
  AnchorGrid grid;
  const float* output = nullptr;
  float* delta = nullptr;
  const TruthBox* truths = nullptr;  // those this head knows, with its class ids
  int truth_count = 0;

  DN_HD size_t at(int a, int entry, size_t cell) const { return anchor_plane(rules, grid, a, entry) + cell; }
  DN_HD float out(int a, int entry, size_t cell) const { return output[at(a, entry, cell)]; }
  DN_HD Box box(int a, size_t cell) const { return anchor_box(rules, rules.anchors[a], grid, output, a, cell); }
  DN_HD static float slope(float sigmoid) { return sigmoid * (1 - sigmoid); }

  // Whatever the truths' places are. `best`: largest overlap of the cell's box with any truth.
  DN_HD void score(int a, size_t cell, float best, bool prior, LossReport& sums) const {
    const float p = out(a, rules.objectness(), cell);
    sums.any_objectness_sum += p;
    float& objectness = delta[at(a, rules.objectness(), cell)];
    objectness = rules.noobject_scale * (0 - p) * slope(p);
    if (rules.classfix == -1)
      objectness = rules.noobject_scale * (best - p) * slope(p);
    else if (best > rules.thresh)
      meet(a, cell, objectness, sums);
    if (prior) box_delta(a, cell, {.5f, .5f, 0, 0}, kPriorScale);
  }

  // Of the anchors of the cell, the one whose shape overlaps the truth's most; the first when none does.
  DN_HD int nearest(size_t cell, const Box& truth) const {
    int nearest = 0;
    float best = 0;
    for (int a = 0; a < rules.anchor_count; ++a) {
      Box shape = box(a, cell);
      if (rules.bias_match) {
        shape.w = rules.anchors[a].w / static_cast<float>(grid.w);
        shape.h = rules.anchors[a].h / static_cast<float>(grid.h);
      }
      if (const float overlap = iou({0, 0, shape.w, shape.h}, {0, 0, truth.w, truth.h}); overlap > best) best = overlap, nearest = a;
    }
    return nearest;
  }

  DN_HD void assign(int a, size_t cell, const TruthBox& truth, LossReport& sums) const {
    const float overlap = iou(box(a, cell), truth.box), p = out(a, rules.objectness(), cell);
    box_delta(a, cell, target(a, cell, truth.box), rules.coord_scale);
    delta[at(a, rules.objectness(), cell)] = rules.object_scale * ((rules.rescore ? overlap : 1) - p) * slope(p);
    class_delta(a, cell, truth.class_id, rules.class_scale, sums);
    ++sums.assigned;
    sums.iou_sum += overlap;
    sums.objectness_sum += p;
    sums.recalled += overlap > .5f;
  }

 private:
  static constexpr float kPriorScale = .01f;

  struct Target {
    float x, y, w, h;  // what the entries should be
  };

  // A box that overlaps a truth by more than thresh.
  DN_HD void meet(int a, size_t cell, float& objectness, LossReport& sums) const {
    objectness = 0;
    if (rules.classfix <= 0) return;
    const Box own = box(a, cell);
    const TruthBox* nearest = truths;
    for (int t = 0; t < truth_count; ++t)
      if (iou(own, truths[t].box) > iou(own, nearest->box)) nearest = truths + t;
    class_delta(a, cell, nearest->class_id, rules.class_scale * (rules.classfix == 2 ? out(a, rules.objectness(), cell) : 1), sums);
  }

  DN_HD Target target(int a, size_t cell, const Box& truth) const {
    const float column = static_cast<float>(cell % static_cast<size_t>(grid.w)), row = static_cast<float>(cell / static_cast<size_t>(grid.w));
    const float columns = static_cast<float>(grid.w), rows = static_cast<float>(grid.h);
    return {truth.x * columns - column, truth.y * rows - row, std::log(truth.w * columns / rules.anchors[a].w),
            std::log(truth.h * rows / rules.anchors[a].h)};
  }

  DN_HD void box_delta(int a, size_t cell, const Target& t, float scale) const {
    const size_t plane = grid.plane();
    float* const d = delta + at(a, 0, cell);
    const float x = out(a, kX, cell), y = out(a, kY, cell);
    d[kX * plane] = scale * (t.x - x) * slope(x);
    d[kY * plane] = scale * (t.y - y) * slope(y);
    d[kW * plane] = scale * (t.w - out(a, kW, cell));
    d[kH * plane] = scale * (t.h - out(a, kH, cell));
  }

  DN_HD void teach(int a, size_t cell, int first, int size, int own, float weight) const {
    const float* __restrict const p = output + at(a, rules.first_class(), cell);
    float* __restrict const d = delta + at(a, rules.first_class(), cell);
    for (int c = first; c < first + size; ++c) {
      const size_t i = static_cast<size_t>(c) * grid.plane();
      d[i] = weight * ((c == own ? 1 : 0) - p[i]);
    }
  }

  DN_HD void class_delta(int a, size_t cell, int class_id, float scale, LossReport& sums) const {
    const auto p = [&](int c) { return out(a, rules.first_class() + c, cell); };
    ++sums.classified;
    if (!rules.parent) {
      teach(a, cell, 0, rules.classes, class_id, rules.focal_loss ? scale * focal_factor(p(class_id)) : scale);
      sums.class_sum += p(class_id);
      return;
    }
    double probability = 1;
    for (int c = class_id; c >= 0; c = rules.parent[c]) {
      const ClassTree::Group& group = rules.groups[rules.group[c]];
      teach(a, cell, group.first, group.size, c, scale);
      probability *= p(c);
    }
    sums.class_sum += probability;
  }
};

}  // namespace dn
