#include "layers/detection/detection_loss.h"

#include <algorithm>

#include "base/rng.h"
#include "layers/detection/detection_cells.h"
#include "nn/anchor_loss.h"

namespace dn {

int drawn_box(const DetectionRules& rules, const DetectionDraw& draw, size_t cell) {
  if (!draw.active || !rules.random) return kNotDrawn;
  Rng rng(draw.seed, RandomUse::assignment, draw.iteration, draw.image * rules.cells() + cell);
  return static_cast<int>(rng.below(static_cast<uint32_t>(rules.num)));
}

LossReport detection_image_loss(const DetectionRules& rules, const float* output, std::span<const TruthBox> all, const DetectionDraw& draw,
                                float* delta) {
  const std::vector<TruthBox> truths = known_truths(all, rules.max_truths, [&](int label) { return rules.class_of(label); });
  const DetectionCells cells{rules, output, delta};
  LossReport sums;
  sums.truths = static_cast<int64_t>(truths.size());
  std::fill_n(delta, rules.outputs(), 0.f);
  for (size_t cell = 0; cell < rules.cells(); ++cell)
    for (int b = 0; b < rules.num; ++b) cells.score(cell, b, sums);
  sums.predictions = static_cast<int64_t>(rules.cells()) * rules.num;
  std::vector<bool> taken(rules.cells(), false);
  const AnchorGrid grid{rules.side, rules.side, 0, 0};
  for (const TruthBox& truth : truths) {
    const size_t cell = cell_of(grid, truth.box.x, truth.box.y);
    if (taken[cell])
      ++sums.rewritten;
    else
      cells.assign(cell, truth, drawn_box(rules, draw, cell), sums);
    taken[cell] = true;
  }
  for (size_t i = 0; i < rules.outputs(); ++i) cells.add_square(i, sums);
  DetectionCells::add_up(sums);
  return sums;
}

}  // namespace dn
