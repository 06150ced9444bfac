#include "nn/anchor_loss.h"

#include <algorithm>
#include <cstring>

#include "nn/head_sweeps.h"

namespace dn {

std::vector<TruthBox> known_truths(std::span<const TruthBox> truths, int max, const std::function<int(int)>& class_of) {
  std::vector<TruthBox> known;
  for (const TruthBox& truth : truths) {
    if (known.size() == static_cast<size_t>(max)) break;
    const Box& b = truth.box;
    const bool usable = b.w > 0 && b.h > 0 && std::isfinite(b.w) && std::isfinite(b.h) && std::isfinite(b.x) && std::isfinite(b.y);
    if (const int class_id = class_of(truth.class_id); class_id >= 0 && usable) known.push_back({b, class_id, truth.track_id});
  }
  return known;
}

void best_overlaps(const AnchorRules& rules, const AnchorGrid& grid, const float* output, int a, std::span<const TruthBox> truths, float* workspace,
                   float* best) {
  const size_t plane = grid.plane();
  for (size_t cell = 0; cell < plane; ++cell) {
    const Box box = anchor_box(rules, grid, output, a, cell);
    workspace[cell] = box.x - box.w / 2;
    workspace[plane + cell] = box.x + box.w / 2;
    workspace[2 * plane + cell] = box.y - box.h / 2;
    workspace[3 * plane + cell] = box.y + box.h / 2;
  }
  best_overlap({workspace, workspace + plane, workspace + 2 * plane, workspace + 3 * plane}, plane, truths, best);
}

namespace {

// One image: every cell of every anchor, then the truths in their order.
class ImageLoss {
 public:
  ImageLoss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths, float* delta, BoxTeaching teach)
      : rules_(rules), grid_(grid), plane_(grid.plane()), output_(output), delta_(delta), teach_(teach),
        truths_(known_truths(truths, rules.max_truths, [&](int label) { return rules.class_of(label); })),
        cells_{view_of(rules), grid, output, delta, truths_.data(), static_cast<int>(truths_.size())} {}

  AnchorImageLoss run(const Rejection& rejection) {
    sums_.truths = static_cast<int64_t>(truths_.size());
    for (int a = 0; a < static_cast<int>(rules_.mask.size()); ++a) score_anchor(a);
    for (const TruthBox& truth : truths_) each_assignment(cells_.rules, grid_, truth.box, [&](int a, size_t cell) { assign_to(a, cell, truth); });
    sort_touched();
    if (cells_.shares_box_deltas())
      for (const size_t first : touched_) cells_.share_box_delta(first);
    if (rejection.sums) *rejection.sums = reject_labels({delta_, static_cast<size_t>(rules_.channels()) * plane_}, rejection.bounds);
    add_up();
    return sums_;
  }

 private:
  size_t at(int a, int entry, size_t cell) const { return anchor_plane(rules_, grid_, a, entry) + cell; }

  // Every cell of one anchor: objectness towards 0 except where a truth is met well enough. The anchor's first six delta planes serve as workspace:
  // box edges, best overlap, largest class probability.
  void score_anchor(int a) {
    float* const d = delta_ + at(a, 0, 0);
    const float* const classes = output_ + at(a, rules_.first_class(), 0);
    std::vector<std::pair<size_t, float>> kept;   // cells with an overlap above a threshold, and the overlap
    if (!truths_.empty()) {
      float* const best = d + 4 * plane_;
      float* const largest = d + 5 * plane_;
      best_overlaps(rules_, grid_, output_, a, truths_, d, best);
      std::memcpy(largest, classes, plane_ * sizeof(float));
      for (int c = 1; c < rules_.classes; ++c) take_larger(largest, classes + static_cast<size_t>(c) * plane_, plane_);
      for (size_t cell = 0; cell < plane_; ++cell) {
        const float match = !cells_.gated() || largest[cell] > kConfidentClass ? best[cell] : 0;
        if (cells_.meets(match, best[cell])) kept.push_back({cell, match});
      }
    }
    std::memset(d, 0, static_cast<size_t>(rules_.entries()) * plane_ * sizeof(float));
    for (size_t cell = 0; cell < plane_; ++cell) cells_.push_down(a, cell);
    for (const auto& [cell, match] : kept)
      if (cells_.meet(a, cell, match, teach_)) touched_.push_back(at(a, 0, cell));
  }

  void assign_to(int a, size_t cell, const TruthBox& truth) {
    const AnchorMatch match = cells_.assign(a, cell, truth, teach_);
    touched_.push_back(at(a, 0, cell));
    ++sums_.assigned;
    sums_.rewritten += match.rewritten;
    sums_.iou_sum += match.overlap;
    sums_.dissimilarity_sum += match.dissimilarity;
  }

  void sort_touched() {
    std::sort(touched_.begin(), touched_.end());
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
  }

  void add_up() {
    for (int a = 0; a < static_cast<int>(rules_.mask.size()); ++a)
      for (size_t cell = 0; cell < plane_; ++cell) sums_.other_squares += cells_.square(at(a, rules_.objectness(), cell));
    for (const size_t first : touched_) cells_.add_squares(first, sums_);
  }

  const AnchorRules& rules_;
  const AnchorGrid& grid_;
  size_t plane_;
  const float* output_;
  float* delta_;
  BoxTeaching teach_;
  std::vector<TruthBox> truths_;   // those this head knows, with its class ids
  AnchorCells cells_;
  std::vector<size_t> touched_;    // offsets of the x entry of cells with box deltas
  AnchorImageLoss sums_;
};

}  // namespace

AnchorImageLoss anchor_image_loss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths,
                                  float* delta, const Rejection& rejection, BoxTeaching teach) {
  return ImageLoss(rules, grid, output, truths, delta, teach).run(rejection);
}

}  // namespace dn
