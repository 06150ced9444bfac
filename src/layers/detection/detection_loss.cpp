#include "layers/detection/detection_loss.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "nn/anchor_loss.h"

namespace dn {
namespace {

constexpr float kSmall = .1f;     // of the picture: where forced draws the line
constexpr float kFarthest = 20;   // distance of boxes without overlap that is looked at

float distance(const Box& a, const Box& b) {
  return std::sqrt((a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y) + (a.w - b.w) * (a.w - b.w) + (a.h - b.h) * (a.h - b.h));
}

class ImageLoss {
 public:
  ImageLoss(const DetectionRules& rules, const float* output, const DetectionDraw& draw, float* delta)
      : rules_(rules), output_(output), draw_(draw), delta_(delta) {}

  LossReport run(std::span<const TruthBox> all) {
    const std::vector<TruthBox> truths =
        known_truths(all, rules_.max_truths, [&](int label) { return label >= 0 && label < rules_.classes ? label : -1; });
    sums_.truths = static_cast<int64_t>(truths.size());
    std::fill_n(delta_, rules_.outputs(), 0.f);
    for (size_t cell = 0; cell < rules_.cells(); ++cell)
      for (int b = 0; b < rules_.num; ++b) {
        const float p = output_[rules_.confidence_at(cell, b)];
        delta_[rules_.confidence_at(cell, b)] = rules_.noobject_scale * (0 - p);
        sums_.any_objectness_sum += p;
      }
    sums_.predictions = static_cast<int64_t>(rules_.cells()) * rules_.num;
    std::vector<bool> taken(rules_.cells(), false);
    const AnchorGrid grid{rules_.side, rules_.side, 0, 0};
    for (const TruthBox& truth : truths) {
      const size_t cell = cell_of(grid, truth.box.x, truth.box.y);
      if (taken[cell]) {
        ++sums_.rewritten;
        continue;
      }
      taken[cell] = true;
      assign(cell, truth);
    }
    add_up();
    return sums_;
  }

 private:
  void assign(size_t cell, const TruthBox& truth) {
    for (int c = 0; c < rules_.classes; ++c) {
      const size_t i = rules_.classes_at(cell) + static_cast<size_t>(c);
      delta_[i] = rules_.class_scale * ((c == truth.class_id ? 1 : 0) - output_[i]);
      sums_.all_classes_sum += output_[i];
      if (c == truth.class_id) sums_.class_sum += output_[i];
    }
    const int b = responsible(cell, truth.box);
    const float overlap = iou(detection_box(rules_, output_, cell, b), truth.box), p = output_[rules_.confidence_at(cell, b)];
    delta_[rules_.confidence_at(cell, b)] = rules_.object_scale * ((rules_.rescore ? overlap : 1) - p);
    const size_t side = static_cast<size_t>(rules_.side), at = rules_.box_at(cell, b);
    const float cells = static_cast<float>(rules_.side);
    const float target[4] = {truth.box.x * cells - static_cast<float>(cell % side), truth.box.y * cells - static_cast<float>(cell / side),
                             rules_.sqrt ? std::sqrt(truth.box.w) : truth.box.w, rules_.sqrt ? std::sqrt(truth.box.h) : truth.box.h};
    for (size_t e = 0; e < 4; ++e) delta_[at + e] = rules_.coord_scale * (target[e] - output_[at + e]);
    ++sums_.assigned;
    ++sums_.classified;
    sums_.iou_sum += overlap;
    sums_.objectness_sum += p;
    sums_.recalled += overlap > .5f;
  }

  // The box of a cell that a truth is given to.
  int responsible(size_t cell, const Box& truth) const {
    if (draw_.active && rules_.random) {
      Rng rng(draw_.seed, RandomUse::assignment, draw_.iteration, draw_.image * rules_.cells() + cell);
      return static_cast<int>(rng.below(static_cast<uint32_t>(rules_.num)));
    }
    if (rules_.forced) return truth.w * truth.h < kSmall ? 1 : 0;
    int nearest = 0;
    float most = 0, least = kFarthest;
    for (int b = 0; b < rules_.num; ++b) {
      const Box box = detection_box(rules_, output_, cell, b);
      const float overlap = iou(box, truth);
      if (overlap > most)
        most = overlap, nearest = b;
      else if (const float away = distance(box, truth); most == 0 && away < least)
        least = away, nearest = b;
    }
    return nearest;
  }

  void add_up() {
    const size_t boxes = rules_.box_at(0, 0);
    double box = 0, other = 0;
    for (size_t i = 0; i < rules_.outputs(); ++i) (i < boxes ? other : box) += static_cast<double>(delta_[i]) * delta_[i];
    sums_.cost = sums_.total_loss = box + other;
    sums_.iou_loss = box;
    sums_.class_loss = other;
  }

  const DetectionRules& rules_;
  const float* output_;
  const DetectionDraw& draw_;
  float* delta_;
  LossReport sums_;
};

}  // namespace

LossReport detection_image_loss(const DetectionRules& rules, const float* output, std::span<const TruthBox> truths, const DetectionDraw& draw,
                                float* delta) {
  return ImageLoss(rules, output, draw, delta).run(truths);
}

}  // namespace dn
