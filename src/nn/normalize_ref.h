// Naive normalization + activation, plain [N,C,H,W]; normative for nn/norm.h, judged in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "config/norm_spec.h"
#include "nn/activation.h"
#include "tensor/tensor.h"

namespace dn {

// Which statistic a value belongs to, so that each kind is one line.
inline size_t statistic_of(const NormSpec& spec, const Shape& s, size_t n, size_t c, size_t p) {
  const size_t channels = static_cast<size_t>(s.c);
  switch (spec.kind) {
    case NormKind::gn:
    case NormKind::ln:
    case NormKind::in: {
      const size_t groups = static_cast<size_t>(spec.groups_of(s.c));
      return n * groups + c / (channels / groups);
    }
    case NormKind::lnc: return n * s.plane() + p;
    case NormKind::frn: return n * channels + c;
    default: return c;
  }
}

// In place: `p` holds what stands behind the biases (norm_param_specs); running: with the running statistics.
template <class T>
void normalize_ref(const NormSpec& spec, const Shape& s, std::vector<T>& y, const std::vector<T>& beta, std::span<const std::vector<T>> p, bool running,
                   Activation activation) {
  const auto each = [&](auto&& body) {
    size_t i = 0;
    for (size_t n = 0; n < static_cast<size_t>(s.n); ++n)
      for (size_t c = 0; c < static_cast<size_t>(s.c); ++c)
        for (size_t at = 0; at < s.plane(); ++at, ++i) body(y[i], statistic_of(spec, s, n, c, at), c);
  };
  std::vector<T> mean(s.count()), variance(s.count()), count(s.count());
  if (spec.batch_statistics() && running) {
    std::copy(p[1].begin(), p[1].end(), mean.begin());
    std::copy(p[2].begin(), p[2].end(), variance.begin());
  } else {
    each([&](T&, size_t k, size_t) { count[k] += 1; });
    if (spec.kind != NormKind::frn) each([&](T& value, size_t k, size_t) { mean[k] += value / count[k]; });
    each([&](T& value, size_t k, size_t) { variance[k] += (value - mean[k]) * (value - mean[k]) / count[k]; });
  }
  each([&](T& value, size_t k, size_t c) {
    T z = spec.any() ? (value - mean[k]) / std::sqrt(variance[k] + T(spec.eps)) * p[0][c] + beta[c] : value + beta[c];
    if (spec.kind == NormKind::frn) z = std::max(z, p[1][c]);
    value = activate(activation, z);
  });
}

// The weights of each filter with mean 0 and variance 1.
template <class T>
std::vector<T> standardize_ref(const std::vector<T>& weights, size_t filters) {
  std::vector<T> out(weights);
  const size_t q = weights.size() / filters;
  for (size_t o = 0; o < filters; ++o) {
    T mean = 0, variance = 0;
    for (size_t i = 0; i < q; ++i) mean += weights[o * q + i] / T(q);
    for (size_t i = 0; i < q; ++i) variance += (weights[o * q + i] - mean) * (weights[o * q + i] - mean) / T(q);
    for (size_t i = 0; i < q; ++i) out[o * q + i] = (weights[o * q + i] - mean) / std::sqrt(variance + T(1e-5));
  }
  return out;
}

}  // namespace dn
