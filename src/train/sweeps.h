// The passes over flat parameters that weight updates make; SIMD with run-time dispatch.
#pragma once

#include <cstddef>

namespace dn {

struct GradientScan {
  double squares = 0;  // sum of g^2 of the finite entries
  float largest = 0;   // max |g| of the finite entries
  bool finite = true;
};

GradientScan scan_gradient(const float* g, size_t count);

struct SgdStep {
  float momentum = 0;
  float decay = 0;  // weight decay times batch; 0: none
  float rate = 0;   // rate * layer scale / batch
  float clip = 0;   // > 0: g is clamped to [-clip, clip] first
};

// v <- momentum v + g + decay w;  w <- w - rate v
void sgd_step(const SgdStep& step, const float* g, float* v, float* w, size_t count);

struct AdamStep {
  float beta1 = 0, beta2 = 0;
  float rest1 = 0, rest2 = 0;  // 1 - beta, rounded once
  float decay = 0;             // weight decay times batch
  float rate = 0;              // rate * layer scale / (1 - beta1^t)
  float correction = 0;        // 1 / (1 - beta2^t)
  float eps = 0;
  float clip = 0;              // > 0: g is clamped to [-clip, clip] first
};

// G = g + decay w;  m <- beta1 m + (1 - beta1) G;  s <- beta2 s + (1 - beta2) G^2, at most the largest float;
// w <- w - rate m / (sqrt(correction s) + eps)
void adam_step(const AdamStep& step, const float* g, float* m, float* s, float* w, size_t count);

// average <- keep average + (1 - keep) w, as a step towards w: equal values stay what they are
void average_step(double keep, const float* w, float* average, size_t count);

double dot(const float* a, const float* b, size_t count);

}  // namespace dn
