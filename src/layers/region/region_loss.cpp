#include "layers/region/region_loss.h"

#include <algorithm>
#include <cstring>

#include "nn/anchor_loss.h"

namespace dn {
namespace {

constexpr float kPriorScale = .01f;

float slope(float sigmoid) { return sigmoid * (1 - sigmoid); }

class ImageLoss {
 public:
  ImageLoss(const RegionRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths, float* delta)
      : rules_(rules), grid_(grid), plane_(grid.plane()), output_(output), delta_(delta),
        truths_(known_truths(truths, rules.max_truths, [&](int label) { return rules.class_of(label); })) {}

  LossReport run(bool prior) {
    sums_.truths = static_cast<int64_t>(truths_.size());
    for (int a = 0; a < static_cast<int>(rules_.anchors.size()); ++a) score_anchor(a, prior);
    for (const TruthBox& truth : truths_) assign(truth);
    sums_.predictions = static_cast<int64_t>(rules_.anchors.size() * plane_);
    add_up();
    return sums_;
  }

 private:
  size_t at(int a, int entry, size_t cell) const { return anchor_plane(rules_, grid_, a, entry) + cell; }
  float out(int a, int entry, size_t cell) const { return output_[at(a, entry, cell)]; }

  // Every cell of one anchor. The anchor's first delta planes serve as workspace: box edges, then the best overlaps.
  void score_anchor(int a, bool prior) {
    float* const d = delta_ + at(a, 0, 0);
    std::vector<float> best(plane_, 0);
    if (!truths_.empty()) best_overlaps(rules_, grid_, output_, a, truths_, d, best.data());
    std::memset(d, 0, static_cast<size_t>(rules_.entries()) * plane_ * sizeof(float));
    for (size_t cell = 0; cell < plane_; ++cell) {
      const float p = out(a, rules_.objectness(), cell);
      sums_.any_objectness_sum += p;
      float& objectness = delta_[at(a, rules_.objectness(), cell)];
      objectness = rules_.noobject_scale * (0 - p) * slope(p);
      if (rules_.classfix == -1)
        objectness = rules_.noobject_scale * (best[cell] - p) * slope(p);
      else if (best[cell] > rules_.thresh)
        meet(a, cell, objectness);
      if (prior) box_delta(a, cell, prior_target(), kPriorScale);
    }
  }

  // A box that overlaps a truth by more than thresh.
  void meet(int a, size_t cell, float& objectness) {
    objectness = 0;
    if (rules_.classfix <= 0) return;
    const Box box = anchor_box(rules_, grid_, output_, a, cell);
    const TruthBox* nearest = &truths_.front();
    for (const TruthBox& truth : truths_)
      if (iou(box, truth.box) > iou(box, nearest->box)) nearest = &truth;
    class_delta(a, cell, nearest->class_id, rules_.class_scale * (rules_.classfix == 2 ? out(a, rules_.objectness(), cell) : 1));
  }

  struct Target {
    float x, y, w, h;   // what the entries should be
  };
  static Target prior_target() { return {.5f, .5f, 0, 0}; }
  Target target(int a, size_t cell, const Box& truth) const {
    const float column = static_cast<float>(cell % static_cast<size_t>(grid_.w)), row = static_cast<float>(cell / static_cast<size_t>(grid_.w));
    const AnchorSize& anchor = rules_.anchors[static_cast<size_t>(a)];
    const float columns = static_cast<float>(grid_.w), rows = static_cast<float>(grid_.h);
    return {truth.x * columns - column, truth.y * rows - row, std::log(truth.w * columns / anchor.w), std::log(truth.h * rows / anchor.h)};
  }

  void box_delta(int a, size_t cell, const Target& t, float scale) {
    float* const d = delta_ + at(a, 0, cell);
    const float x = out(a, kX, cell), y = out(a, kY, cell);
    d[kX * plane_] = scale * (t.x - x) * slope(x);
    d[kY * plane_] = scale * (t.y - y) * slope(y);
    d[kW * plane_] = scale * (t.w - out(a, kW, cell));
    d[kH * plane_] = scale * (t.h - out(a, kH, cell));
  }

  // Of the anchors of the cell, the one whose shape overlaps the truth's most; the first when none does.
  int nearest(size_t cell, const Box& truth) const {
    int nearest = 0;
    float best = 0;
    for (int a = 0; a < static_cast<int>(rules_.anchors.size()); ++a) {
      Box shape = anchor_box(rules_, grid_, output_, a, cell);
      if (rules_.bias_match) {
        const AnchorSize& anchor = rules_.anchors[static_cast<size_t>(a)];
        shape.w = anchor.w / static_cast<float>(grid_.w);
        shape.h = anchor.h / static_cast<float>(grid_.h);
      }
      if (const float overlap = iou({0, 0, shape.w, shape.h}, {0, 0, truth.w, truth.h}); overlap > best) best = overlap, nearest = a;
    }
    return nearest;
  }

  void assign(const TruthBox& truth) {
    const size_t cell = cell_of(grid_, truth.box.x, truth.box.y);
    const int a = nearest(cell, truth.box);
    const float overlap = iou(anchor_box(rules_, grid_, output_, a, cell), truth.box), p = out(a, rules_.objectness(), cell);
    box_delta(a, cell, target(a, cell, truth.box), rules_.coord_scale);
    delta_[at(a, rules_.objectness(), cell)] = rules_.object_scale * ((rules_.rescore ? overlap : 1) - p) * slope(p);
    class_delta(a, cell, truth.class_id, rules_.class_scale);
    const size_t place = at(a, 0, cell);
    if (std::find(assigned_.begin(), assigned_.end(), place) != assigned_.end()) ++sums_.rewritten;
    assigned_.push_back(place);
    ++sums_.assigned;
    sums_.iou_sum += overlap;
    sums_.objectness_sum += p;
    sums_.recalled += overlap > .5f;
  }

  void class_delta(int a, size_t cell, int class_id, float scale) {
    const float* const p = output_ + at(a, rules_.first_class(), cell);
    float* const d = delta_ + at(a, rules_.first_class(), cell);
    const auto teach = [&](int first, int size, int own, float weight) {
      for (int c = first; c < first + size; ++c) {
        const size_t i = static_cast<size_t>(c) * plane_;
        d[i] = weight * ((c == own ? 1 : 0) - p[i]);
      }
    };
    ++sums_.classified;
    if (!rules_.has_tree()) {
      const float own = p[static_cast<size_t>(class_id) * plane_];
      teach(0, rules_.classes, class_id, rules_.focal_loss ? scale * focal_factor(own) : scale);
      sums_.class_sum += own;
      return;
    }
    double probability = 1;
    for (int c = class_id; c >= 0; c = rules_.tree.parent[static_cast<size_t>(c)]) {
      const ClassTree::Group& group = rules_.tree.groups[static_cast<size_t>(rules_.tree.group[static_cast<size_t>(c)])];
      teach(group.first, group.size, c, scale);
      probability *= p[static_cast<size_t>(c) * plane_];
    }
    sums_.class_sum += probability;
  }

  void add_up() {
    double box = 0, other = 0;
    const size_t entries = static_cast<size_t>(rules_.entries());
    for (size_t plane = 0; plane < entries * rules_.anchors.size(); ++plane)
      for (size_t i = plane * plane_; i < (plane + 1) * plane_; ++i)
        (plane % entries < 4 ? box : other) += static_cast<double>(delta_[i]) * delta_[i];
    sums_.cost = sums_.total_loss = box + other;
    sums_.iou_loss = box;
    sums_.class_loss = other;
  }

  const RegionRules& rules_;
  const AnchorGrid& grid_;
  size_t plane_;
  const float* output_;
  float* delta_;
  std::vector<TruthBox> truths_;    // those this head knows, with its class ids
  std::vector<size_t> assigned_;    // places that took a truth
  LossReport sums_;
};

}  // namespace

LossReport region_image_loss(const RegionRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths, uint64_t seen,
                             float* delta) {
  return ImageLoss(rules, grid, output, truths, delta).run(seen < kPriorImages);
}

}  // namespace dn
