// The loss of one image of a [region] head, written down once more in plain double arithmetic as a function of the head's inputs x [C,H,W]. What is
// chosen and not differentiated (who is assigned, what is ignored, the overlap that rescore aims at) follows from `at`; delta of region_loss.h is
// minus its derivative at x = at. focal_loss and classfix = 2 weigh gradients and have no such loss.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "image/truth.h"
#include "layers/region/region_rules.h"

namespace dn {

struct RegionReference {
  const RegionRules& rules;
  AnchorGrid grid;
  std::vector<double> at;

  double value(std::span<const double> x, int a, int e, int cell) const {
    return x[static_cast<size_t>((a * rules.entries() + e) * static_cast<int>(grid.plane()) + cell)];
  }
  static double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

  Box box(int a, int cell) const {
    const AnchorSize& anchor = rules.anchors[static_cast<size_t>(a)];
    return {static_cast<float>((cell % grid.w + sigmoid(value(at, a, 0, cell))) / grid.w),
            static_cast<float>((cell / grid.w + sigmoid(value(at, a, 1, cell))) / grid.h),
            static_cast<float>(std::exp(value(at, a, 2, cell)) * static_cast<double>(anchor.w) / grid.w),
            static_cast<float>(std::exp(value(at, a, 3, cell)) * static_cast<double>(anchor.h) / grid.h)};
  }

  // -ln of the softmax of class `own` among first .. first + size - 1.
  double cross_entropy(std::span<const double> x, int a, int cell, int first, int size, int own) const {
    double sum = 0;
    for (int c = first; c < first + size; ++c) sum += std::exp(value(x, a, 5 + c, cell));
    return std::log(sum) - value(x, a, 5 + own, cell);
  }
  double class_loss(std::span<const double> x, int a, int cell, int own) const {
    double loss = 0;
    if (rules.has_tree()) {
      for (int c = own; c >= 0; c = rules.tree.parent[static_cast<size_t>(c)]) {
        const ClassTree::Group& g = rules.tree.groups[static_cast<size_t>(rules.tree.group[static_cast<size_t>(c)])];
        loss += cross_entropy(x, a, cell, g.first, g.size, c);
      }
    } else if (rules.softmax) {
      loss = cross_entropy(x, a, cell, 0, rules.classes, own);
    } else {
      for (int c = 0; c < rules.classes; ++c) loss += .5 * std::pow((c == own) - value(x, a, 5 + c, cell), 2);
    }
    return rules.class_scale * loss;
  }
  double box_loss(std::span<const double> x, int a, int cell, const double t[4], double scale) const {
    double sum = 0;
    for (int e = 0; e < 4; ++e) sum += std::pow(t[e] - (e < 2 ? sigmoid(value(x, a, e, cell)) : value(x, a, e, cell)), 2);
    return .5 * scale * sum;
  }
  double objectness_loss(std::span<const double> x, int a, int cell, double target, double scale) const {
    return .5 * scale * std::pow(target - sigmoid(value(x, a, 4, cell)), 2);
  }

  double operator()(std::span<const double> x, std::span<const TruthBox> truths, bool prior) const {
    std::map<std::pair<int, int>, const TruthBox*> owner;   // (anchor, cell) -> its truth
    for (const TruthBox& truth : truths) {
      const int column = std::min(static_cast<int>(truth.box.x * static_cast<float>(grid.w)), grid.w - 1);
      const int row = std::min(static_cast<int>(truth.box.y * static_cast<float>(grid.h)), grid.h - 1), cell = row * grid.w + column;
      int best = 0;
      float most = 0;
      for (int a = 0; a < static_cast<int>(rules.anchors.size()); ++a) {
        const AnchorSize& anchor = rules.anchors[static_cast<size_t>(a)];
        Box shape = box(a, cell);
        if (rules.bias_match) shape.w = anchor.w / static_cast<float>(grid.w), shape.h = anchor.h / static_cast<float>(grid.h);
        if (const float overlap = iou({0, 0, shape.w, shape.h}, {0, 0, truth.box.w, truth.box.h}); overlap > most) most = overlap, best = a;
      }
      owner[{best, cell}] = &truth;
    }
    double loss = 0;
    for (int a = 0; a < static_cast<int>(rules.anchors.size()); ++a)
      for (int cell = 0; cell < grid.w * grid.h; ++cell) {
        const auto own = owner.find({a, cell});
        loss += own != owner.end() ? assigned(x, a, cell, *own->second) : free_cell(x, a, cell, truths, prior);
      }
    return loss;
  }

  double assigned(std::span<const double> x, int a, int cell, const TruthBox& truth) const {
    const AnchorSize& anchor = rules.anchors[static_cast<size_t>(a)];
    const double t[4] = {static_cast<double>(truth.box.x) * grid.w - cell % grid.w, static_cast<double>(truth.box.y) * grid.h - cell / grid.w,
                         std::log(static_cast<double>(truth.box.w) * grid.w / static_cast<double>(anchor.w)),
                         std::log(static_cast<double>(truth.box.h) * grid.h / static_cast<double>(anchor.h))};
    const double aim = rules.rescore ? static_cast<double>(iou(box(a, cell), truth.box)) : 1;
    return box_loss(x, a, cell, t, rules.coord_scale) + objectness_loss(x, a, cell, aim, rules.object_scale) +
           class_loss(x, a, cell, truth.class_id);
  }

  double free_cell(std::span<const double> x, int a, int cell, std::span<const TruthBox> truths, bool prior) const {
    float most = 0;
    int class_id = 0;
    for (const TruthBox& truth : truths)
      if (const float overlap = iou(box(a, cell), truth.box); overlap > most) most = overlap, class_id = truth.class_id;
    const double middle[4] = {.5, .5, 0, 0};
    double loss = prior ? box_loss(x, a, cell, middle, .01) : 0;
    if (rules.classfix == -1)
      loss += objectness_loss(x, a, cell, static_cast<double>(most), rules.noobject_scale);
    else if (most <= rules.thresh)
      loss += objectness_loss(x, a, cell, 0, rules.noobject_scale);
    else if (rules.classfix == 1)
      loss += class_loss(x, a, cell, class_id);
    return loss;
  }
};

}  // namespace dn
