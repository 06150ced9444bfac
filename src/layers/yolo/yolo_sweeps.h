// The parts of a [yolo] head that touch every cell, vectorised.
#pragma once

#include <cstddef>
#include <span>

#include "image/truth.h"

namespace dn {

// v := scale * sigmoid(v) + shift (logistic), or scale * v + shift.
void yolo_activate(float* values, size_t count, bool logistic, float scale, float shift);

// Planes of predicted boxes, by edges.
struct BoxPlanes {
  const float *left, *right, *top, *bottom;
};

// best[i] = largest IoU of box i with any of the truths, 0 without overlap.
void yolo_best_overlap(const BoxPlanes& boxes, size_t count, std::span<const TruthBox> truths, float* best);

// to[i] = max(to[i], from[i])
void yolo_take_larger(float* to, const float* from, size_t count);

}  // namespace dn
