#include "nn/weight_standardization.h"

#include <cmath>

namespace dn {
namespace {

struct Filter {
  double mean = 0, inv_std = 0;
};

Filter statistics(std::span<const float> w) {
  constexpr double kEps = 1e-5;
  Filter f;
  double squares = 0;
  for (const float v : w) f.mean += static_cast<double>(v) / static_cast<double>(w.size());
  for (const float v : w) squares += (v - f.mean) * (v - f.mean);
  f.inv_std = 1 / std::sqrt(squares / static_cast<double>(w.size()) + kEps);
  return f;
}

}  // namespace

void standardize(std::span<const float> weights, size_t filters, std::span<float> out) {
  const size_t q = weights.size() / filters;
  for (size_t o = 0; o < filters; ++o) {
    const Filter f = statistics(weights.subspan(o * q, q));
    for (size_t i = o * q; i < (o + 1) * q; ++i) out[i] = static_cast<float>((weights[i] - f.mean) * f.inv_std);
  }
}

void standardize_backward(std::span<const float> weights, size_t filters, std::span<const float> gradient, Write mode, std::span<float> out) {
  const size_t q = weights.size() / filters;
  for (size_t o = 0; o < filters; ++o) {
    const Filter f = statistics(weights.subspan(o * q, q));
    double mean = 0, along = 0;
    for (size_t i = o * q; i < (o + 1) * q; ++i) {
      mean += static_cast<double>(gradient[i]) / static_cast<double>(q);
      along += gradient[i] * ((weights[i] - f.mean) * f.inv_std) / static_cast<double>(q);
    }
    for (size_t i = o * q; i < (o + 1) * q; ++i) {
      const double value = f.inv_std * (gradient[i] - mean - (weights[i] - f.mean) * f.inv_std * along);
      out[i] = static_cast<float>(mode == Write::accumulate ? out[i] + value : value);
    }
  }
}

}  // namespace dn
