#include "layers/region/region_loss.h"

#include <algorithm>
#include <cstring>

#include "layers/region/region_cells.h"
#include "nn/anchor_loss.h"

namespace dn {
namespace {

class ImageLoss {
 public:
  ImageLoss(const RegionRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths, float* delta)
      : rules_(rules), grid_(grid), plane_(grid.plane()), output_(output), delta_(delta),
        truths_(known_truths(truths, rules.max_truths, [&](int label) { return rules.class_of(label); })),
        cells_{view_of(rules), grid, output, delta, truths_.data(), static_cast<int>(truths_.size())} {}

  LossReport run(bool prior) {
    sums_.truths = static_cast<int64_t>(truths_.size());
    for (int a = 0; a < static_cast<int>(rules_.anchors.size()); ++a) score_anchor(a, prior);
    for (const TruthBox& truth : truths_) assign(truth);
    sums_.predictions = static_cast<int64_t>(rules_.anchors.size() * plane_);
    add_up();
    return sums_;
  }

 private:
  // Every cell of one anchor. The anchor's first delta planes serve as workspace: box edges, then the best overlaps.
  void score_anchor(int a, bool prior) {
    float* const d = delta_ + anchor_plane(rules_, grid_, a, 0);
    std::vector<float> best(plane_, 0);
    if (!truths_.empty()) best_overlaps(rules_, grid_, output_, a, truths_, d, best.data());
    std::memset(d, 0, static_cast<size_t>(rules_.entries()) * plane_ * sizeof(float));
    for (size_t cell = 0; cell < plane_; ++cell) cells_.score(a, cell, best[cell], prior, sums_);
  }

  void assign(const TruthBox& truth) {
    const size_t cell = cell_of(grid_, truth.box.x, truth.box.y);
    const int a = cells_.nearest(cell, truth.box);
    cells_.assign(a, cell, truth, sums_);
    const size_t place = anchor_plane(rules_, grid_, a, 0) + cell;
    if (std::find(assigned_.begin(), assigned_.end(), place) != assigned_.end()) ++sums_.rewritten;
    assigned_.push_back(place);
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
  RegionCells cells_;
  std::vector<size_t> assigned_;    // places that took a truth
  LossReport sums_;
};

}  // namespace

LossReport region_image_loss(const RegionRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths, uint64_t seen,
                             float* delta) {
  return ImageLoss(rules, grid, output, truths, delta).run(seen < kPriorImages);
}

}  // namespace dn
