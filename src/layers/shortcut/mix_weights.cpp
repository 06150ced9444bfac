// See mix_weights.h. With T = sum_j r_j + eps and g_s = r_s / T:   dL/dr_k = (dL/dg_k - sum_s dL/dg_s g_s) / T.
#include "layers/shortcut/mix_weights.h"

#include <algorithm>
#include <cmath>

namespace dn {
namespace {

constexpr double kFloor = 1e-3, kEpsilon = 1e-4;

size_t largest(std::span<const double> w) { return static_cast<size_t>(std::max_element(w.begin(), w.end()) - w.begin()); }

// Fills r, gives T.
double raw_weights(MixNorm norm, std::span<const double> w, std::span<double> r) {
  const double top = w[largest(w)];
  double total = kEpsilon;
  for (size_t s = 0; s < w.size(); ++s) total += r[s] = norm == MixNorm::relu ? std::max(w[s], kFloor) : std::exp(w[s] - top);
  return total;
}

}  // namespace

void mix_weights(MixNorm norm, std::span<const double> w, std::span<double> g) {
  const double total = raw_weights(norm, w, g);
  for (double& value : g) value /= total;
}

void mix_weights_gradient(MixNorm norm, std::span<const double> w, std::span<const double> dg, std::span<double> dw) {
  const double total = raw_weights(norm, w, dw);
  double mean = 0;
  for (size_t s = 0; s < w.size(); ++s) mean += dg[s] * dw[s] / total;
  for (size_t s = 0; s < w.size(); ++s) {
    const double dr = (dg[s] - mean) / total;
    dw[s] = norm == MixNorm::relu ? (w[s] > kFloor ? dr : 0) : dr * dw[s];
  }
  // Moving the maximum scales every e_s alike; only eps does not follow: sum_s dL/dr_s r_s = mean * eps / T.
  if (norm == MixNorm::softmax) dw[largest(w)] -= mean * kEpsilon / total;
}

}  // namespace dn
