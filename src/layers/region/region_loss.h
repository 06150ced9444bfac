// Assignment of truths to cells and the loss of a [region] head, on plain arrays.
//
// delta = -d Loss / d input of the head for the loss half the squared error (classes: the cross-entropy of the softmax, or of one per level of the
// tree)
//   objectness   noobject_scale (0 - p) p (1 - p); 0 where the box overlaps a truth by more than thresh; assigned: object_scale (1 - p) p (1 - p),
//                with rescore the overlap in place of 1
//   classes      class_scale (one-hot - p) at assigned cells; with a tree for the class and each of its parents, within their groups of siblings
//   box          coord_scale (t - s) s (1 - s) for x, y; coord_scale (t - v) for w, h
// During the first kPriorImages images every box is drawn to its anchor in the middle of its cell with the weight .01.
// A truth is assigned in the cell of its centre to the anchor whose shape (bias_match), or to the box whose predicted shape, overlaps it most. Of
// several truths with the same place the last one counts.
#pragma once

#include <cstdint>
#include <span>

#include "image/truth.h"
#include "layers/region/region_rules.h"
#include "nn/kernel.h"

namespace dn {

inline constexpr uint64_t kPriorImages = 12800;

// output, delta: [C,H,W]; delta is overwritten. `seen`: images trained on before. Gives the sums of one image; cost is the sum of the squared deltas.
LossReport region_image_loss(const RegionRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths, uint64_t seen,
                             float* delta);

}  // namespace dn
