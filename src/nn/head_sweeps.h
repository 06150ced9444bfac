// The parts of detection heads that touch every cell, vectorised.
#pragma once

#include <cstddef>
#include <span>

#include "image/truth.h"

namespace dn {

// v := scale * sigmoid(v) + shift (logistic), or scale * v + shift.
void activate_values(float* values, size_t count, bool logistic, float scale, float shift);

// Planes of predicted boxes, by edges.
struct BoxPlanes {
  const float *left, *right, *top, *bottom;
};

// best[i] = largest IoU of box i with any of the truths, 0 without overlap.
void best_overlap(const BoxPlanes& boxes, size_t count, std::span<const TruthBox> truths, float* best);

// Softmax over `classes` planes that lie one behind the other, for each of their `plane` places.
void softmax_planes(float* values, size_t classes, size_t plane);

// to[i] = max(to[i], from[i])
void take_larger(float* to, const float* from, size_t count);

}  // namespace dn
