// The normalized weights g of [shortcut] for one channel, and the exact derivative of the normalization (formulas in shortcut.h).
// In double: there are few. With T = sum_j r_j + eps and g_s = r_s / T:   dL/dr_k = (dL/dg_k - sum_s dL/dg_s g_s) / T.
#pragma once

#include <cmath>
#include <span>

#include "base/host_device.h"
#include "layers/shortcut/shortcut.h"

namespace dn {

namespace detail {

inline constexpr double kMixFloor = 1e-3, kMixEpsilon = 1e-4;

DN_HD inline int largest_weight(int count, const double* w) {
  int best = 0;
  for (int s = 1; s < count; ++s) best = w[s] > w[best] ? s : best;
  return best;
}

// Fills r, gives T.
DN_HD inline double raw_weights(MixNorm norm, int count, const double* w, double* r) {
  const double top = w[largest_weight(count, w)];
  double total = kMixEpsilon;
  for (int s = 0; s < count; ++s) total += r[s] = norm == MixNorm::softmax ? std::exp(w[s] - top) : w[s] > kMixFloor ? w[s] : kMixFloor;
  return total;
}

}  // namespace detail

// g from w, one entry per source.
DN_HD inline void mix_weights(MixNorm norm, int count, const double* w, double* g) {
  const double total = detail::raw_weights(norm, count, w, g);
  for (int s = 0; s < count; ++s) g[s] /= total;
}

// dL/dw from w and dL/dg.
DN_HD inline void mix_weights_gradient(MixNorm norm, int count, const double* w, const double* dg, double* dw) {
  const double total = detail::raw_weights(norm, count, w, dw);
  double mean = 0;
  for (int s = 0; s < count; ++s) mean += dg[s] * dw[s] / total;
  for (int s = 0; s < count; ++s) {
    const double dr = (dg[s] - mean) / total;
    dw[s] = norm == MixNorm::softmax ? dr * dw[s] : w[s] > detail::kMixFloor ? dr : 0;
  }
  // Moving the maximum scales every e_s alike; only eps does not follow: sum_s dL/dr_s r_s = mean * eps / T.
  if (norm == MixNorm::softmax) dw[detail::largest_weight(count, w)] -= mean * detail::kMixEpsilon / total;
}

inline void mix_weights(MixNorm norm, std::span<const double> w, std::span<double> g) {
  mix_weights(norm, static_cast<int>(w.size()), w.data(), g.data());
}
inline void mix_weights_gradient(MixNorm norm, std::span<const double> w, std::span<const double> dg, std::span<double> dw) {
  mix_weights_gradient(norm, static_cast<int>(w.size()), w.data(), dg.data(), dw.data());
}

}  // namespace dn
