// The two passes over flat parameters that every weight update makes; SIMD with run-time dispatch.
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

}  // namespace dn
