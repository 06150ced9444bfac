// The passes over flat parameters that weight updates make; SIMD with run-time dispatch. What happens to one entry is written here: the vector code
// does the same to many, rounding in the same places, and so do a GPU's threads (train/cuda/update_kernels.cu).
#pragma once

#include <cmath>
#include <cstddef>

#include "base/host_device.h"

namespace dn {

inline constexpr float kLargestFloat = 3.402823466e38f;

DN_HD inline float clamped(float x, float bound) { return x < -bound ? -bound : x > bound ? bound : x; }
// bound 0: none.
DN_HD inline float clipped(float g, float bound) { return clamped(g, bound > 0 ? bound : kLargestFloat); }

struct GradientScan {
  double squares = 0;  // sum of g^2 of the finite entries
  float largest = 0;   // max |g| of the finite entries
  bool finite = true;
};

// Part of a scan: so few entries that their squares can be summed in float.
struct GradientRun {
  float squares = 0, largest = 0;
  bool finite = true;
  DN_HD void take(float x) {
    const float size = x < 0 ? -x : x;
    if (!(size <= kLargestFloat)) {  // NaN and infinity; x - x, fused with the product that x may be, would not be 0
      finite = false;
      return;
    }
    squares = std::fma(x, x, squares);
    if (size > largest) largest = size;
  }
};

GradientScan scan_gradient(const float* g, size_t count);

struct SgdStep {
  float momentum = 0;
  float decay = 0;  // weight decay times batch; 0: none
  float rate = 0;   // rate * layer scale / batch
  float clip = 0;   // > 0: g is clamped to [-clip, clip] first
  // v <- momentum v + g + decay w;  w <- w - rate v
  DN_HD void operator()(float g, float& v, float& w) const {
    v = std::fma(momentum, v, std::fma(decay, w, clipped(g, clip)));
    w = std::fma(-rate, v, w);
  }
};

void sgd_step(const SgdStep& step, const float* g, float* v, float* w, size_t count);

struct AdamStep {
  float beta1 = 0, beta2 = 0;
  float rest1 = 0, rest2 = 0;  // 1 - beta, rounded once
  float decay = 0;             // weight decay times batch
  float rate = 0;              // rate * layer scale / (1 - beta1^t)
  float correction = 0;        // 1 / (1 - beta2^t)
  float eps = 0;
  float clip = 0;  // > 0: g is clamped to [-clip, clip] first
  // G = g + decay w;  m <- beta1 m + (1 - beta1) G;  s <- beta2 s + (1 - beta2) G^2, at most the largest float;
  // w <- w - rate m / (sqrt(correction s) + eps)
  DN_HD void operator()(float g, float& m, float& s, float& w) const {
    const float gradient = std::fma(decay, w, clipped(g, clip));
    const float square = std::fma(beta2, s, rest2 * gradient * gradient);
    m = std::fma(beta1, m, rest1 * gradient);
    s = square < kLargestFloat ? square : kLargestFloat;
    w = std::fma(-rate, m / (std::sqrt(correction * s) + eps), w);
  }
};

void adam_step(const AdamStep& step, const float* g, float* m, float* s, float* w, size_t count);

// average <- keep average + share w, share = 1 - keep, as a step towards w: equal values stay what they are
DN_HD inline void average_entry(float share, float w, float& average) { average = std::fma(share, w - average, average); }
void average_step(double keep, const float* w, float* average, size_t count);

double dot(const float* a, const float* b, size_t count);

}  // namespace dn
