// Assignment of truths to boxes and the loss of a [detection] head, on plain arrays.
//
// delta = -d Loss / d output for the loss half the squared error:
//   confidence   noobject_scale (0 - p); of the box that a truth was given object_scale (1 - p), with rescore (IoU - p)
//   classes      class_scale (one-hot - p) in cells with a truth; after a softmax this is the derivative of the cross-entropy for its input
//   box          coord_scale (t - v), t = x, y within the cell, w, h (sqrt: their roots)
// A cell learns one truth, the first one with its centre there. It is given to the box that overlaps it most, when none does to the one with the
// smallest distance; forced and random decide otherwise.
#pragma once

#include <span>

#include "image/truth.h"
#include "layers/detection/detection_rules.h"
#include "nn/kernel.h"

namespace dn {

inline constexpr uint64_t kRandomImages = 64000;

// Where random=1 draws from, and whether it still does.
struct DetectionDraw {
  bool active = false;
  uint64_t seed = 0, iteration = 0, image = 0;   // image: its index in the batch
};

// The box of a cell that random=1 has learn; kNotDrawn (detection_cells.h): it does not.
int drawn_box(const DetectionRules& rules, const DetectionDraw& draw, size_t cell);

// output, delta: one image; delta is overwritten. Gives the sums of one image; cost is the sum of the squared deltas.
LossReport detection_image_loss(const DetectionRules& rules, const float* output, std::span<const TruthBox> truths, const DetectionDraw& draw,
                                float* delta);

}  // namespace dn
