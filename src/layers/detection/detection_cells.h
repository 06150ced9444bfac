// What the cells of a [detection] head learn from an image's truths (the formulas are in detection_loss.h), for the host and for GPU kernels.
#pragma once

#include <cmath>

#include "image/truth.h"
#include "layers/detection/detection_rules.h"
#include "nn/kernel.h"

namespace dn {

inline constexpr float kSmallPart = .1f;      // of the picture: where forced draws the line
inline constexpr float kFarthestBox = 20;     // distance of boxes without overlap that is looked at
inline constexpr int kNotDrawn = -1;

// One image. output, delta: as detection.h lays them out.
struct DetectionCells {
  DetectionRules rules;
  const float* output = nullptr;
  float* delta = nullptr;

  // A box wherever the truths are.
  DN_HD void score(size_t cell, int box, LossReport& sums) const {
    const float p = output[rules.confidence_at(cell, box)];
    delta[rules.confidence_at(cell, box)] = rules.noobject_scale * (0 - p);
    sums.any_objectness_sum += p;
  }

  // A cell learns its truth. drawn: the box that is to, or kNotDrawn.
  DN_HD void assign(size_t cell, const TruthBox& truth, int drawn, LossReport& sums) const {
    for (int c = 0; c < rules.classes; ++c) {
      const size_t i = rules.classes_at(cell) + static_cast<size_t>(c);
      delta[i] = rules.class_scale * ((c == truth.class_id ? 1 : 0) - output[i]);
      sums.all_classes_sum += output[i];
      if (c == truth.class_id) sums.class_sum += output[i];
    }
    const int b = drawn == kNotDrawn ? responsible(cell, truth.box) : drawn;
    const float overlap = iou(detection_box(rules, output, cell, b), truth.box), p = output[rules.confidence_at(cell, b)];
    delta[rules.confidence_at(cell, b)] = rules.object_scale * ((rules.rescore ? overlap : 1) - p);
    const size_t side = static_cast<size_t>(rules.side), at = rules.box_at(cell, b);
    const float cells = static_cast<float>(rules.side);
    const float target[4] = {truth.box.x * cells - static_cast<float>(cell % side), truth.box.y * cells - static_cast<float>(cell / side),
                             rules.sqrt ? std::sqrt(truth.box.w) : truth.box.w, rules.sqrt ? std::sqrt(truth.box.h) : truth.box.h};
    for (size_t e = 0; e < 4; ++e) delta[at + e] = rules.coord_scale * (target[e] - output[at + e]);
    ++sums.assigned;
    ++sums.classified;
    sums.iou_sum += overlap;
    sums.objectness_sum += p;
    sums.recalled += overlap > .5f;
  }

  // Squares of the deltas: of boxes as iou_loss, of all else as class_loss.
  DN_HD void add_square(size_t i, LossReport& sums) const {
    (i < rules.box_at(0, 0) ? sums.class_loss : sums.iou_loss) += static_cast<double>(delta[i]) * delta[i];
  }
  DN_HD static void add_up(LossReport& sums) { sums.cost = sums.total_loss = sums.iou_loss + sums.class_loss; }

 private:
  // The box of a cell that a truth is given to.
  DN_HD int responsible(size_t cell, const Box& truth) const {
    if (rules.forced) return truth.w * truth.h < kSmallPart ? 1 : 0;
    int nearest = 0;
    float most = 0, least = kFarthestBox;
    for (int b = 0; b < rules.num; ++b) {
      const Box box = detection_box(rules, output, cell, b);
      const float overlap = iou(box, truth);
      if (overlap > most)
        most = overlap, nearest = b;
      else if (const float away = distance(box, truth); most == 0 && away < least)
        least = away, nearest = b;
    }
    return nearest;
  }

  DN_HD static float distance(const Box& a, const Box& b) {
    return std::sqrt((a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y) + (a.w - b.w) * (a.w - b.w) + (a.h - b.h) * (a.h - b.h));
  }
};

}  // namespace dn
