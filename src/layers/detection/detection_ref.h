// The loss of one image of a [detection] head, written down once more in plain double arithmetic as a function of the head's inputs x. What is chosen
// and not differentiated (which box is responsible, the overlap that rescore aims at) follows from `at`; delta of detection_loss.h is minus its
// derivative at x = at.
#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "image/truth.h"
#include "layers/detection/detection_rules.h"

namespace dn {

struct DetectionReference {
  const DetectionRules& rules;
  std::vector<double> at;

  double size(double v) const { return rules.sqrt ? v * v : v; }
  Box box(int cell, int b) const {
    const size_t i = rules.box_at(static_cast<size_t>(cell), b);
    return {static_cast<float>((cell % rules.side + at[i]) / rules.side), static_cast<float>((cell / rules.side + at[i + 1]) / rules.side),
            static_cast<float>(size(at[i + 2])), static_cast<float>(size(at[i + 3]))};
  }

  int responsible(int cell, const Box& truth) const {
    if (rules.forced) return truth.w * truth.h < .1f;
    int best = -1;
    for (int b = 0; b < rules.num; ++b)
      if (const float overlap = iou(box(cell, b), truth); overlap > 0 && (best < 0 || overlap > iou(box(cell, best), truth))) best = b;
    if (best >= 0) return best;
    best = 0;
    const auto away = [&](int b) {
      const Box p = box(cell, b);
      return std::hypot(std::hypot(p.x - truth.x, p.y - truth.y), std::hypot(p.w - truth.w, p.h - truth.h));
    };
    for (int b = 1; b < rules.num; ++b)
      if (away(b) < away(best)) best = b;
    return best;
  }

  double class_loss(std::span<const double> x, int cell, int own) const {
    const size_t first = rules.classes_at(static_cast<size_t>(cell));
    double sum = 0, squares = 0;
    for (int c = 0; c < rules.classes; ++c) {
      const double v = x[first + static_cast<size_t>(c)];
      sum += std::exp(v);
      squares += .5 * std::pow((c == own) - v, 2);
    }
    return rules.class_scale * (rules.softmax ? std::log(sum) - x[first + static_cast<size_t>(own)] : squares);
  }

  double operator()(std::span<const double> x, std::span<const TruthBox> truths) const {
    double loss = 0;
    for (int cell = 0; cell < rules.side * rules.side; ++cell) {
      const TruthBox* own = nullptr;
      for (const TruthBox& truth : truths) {
        const int column = std::min(static_cast<int>(truth.box.x * static_cast<float>(rules.side)), rules.side - 1);
        const int row = std::min(static_cast<int>(truth.box.y * static_cast<float>(rules.side)), rules.side - 1);
        if (!own && row * rules.side + column == cell) own = &truth;
      }
      const int best = own ? responsible(cell, own->box) : -1;
      for (int b = 0; b < rules.num; ++b) {
        const double p = x[rules.confidence_at(static_cast<size_t>(cell), b)];
        const double aim = b != best ? 0 : rules.rescore ? static_cast<double>(iou(box(cell, b), own->box)) : 1;
        loss += .5 * static_cast<double>(b == best ? rules.object_scale : rules.noobject_scale) * std::pow(aim - p, 2);
      }
      if (!own) continue;
      loss += class_loss(x, cell, own->class_id);
      const size_t i = rules.box_at(static_cast<size_t>(cell), best);
      const auto root = [&](float v) { return rules.sqrt ? std::sqrt(static_cast<double>(v)) : static_cast<double>(v); };
      const double t[4] = {static_cast<double>(own->box.x) * rules.side - cell % rules.side,
                           static_cast<double>(own->box.y) * rules.side - cell / rules.side, root(own->box.w), root(own->box.h)};
      for (size_t e = 0; e < 4; ++e) loss += .5 * static_cast<double>(rules.coord_scale) * std::pow(t[e] - x[i + e], 2);
    }
    return loss;
  }
};

}  // namespace dn
