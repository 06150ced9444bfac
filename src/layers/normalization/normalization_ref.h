// [normalization] by its formula, on plain [N,C,H,W]: what every kernel must compute. See normalization.h.
#pragma once

#include <cmath>

#include "layers/normalization/normalization.h"

namespace dn {

template <class T>
std::vector<T> normalization_reference(const Normalization& layer, const Shape& in, const std::vector<T>& x) {
  const NormalizationSpec& spec = layer.spec();
  std::vector<T> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const int c = int(i / in.plane()) % in.c;
    T norm = 0;
    const auto square = [&](int k) { return k < 0 || k >= in.c ? T(0) : std::pow(x[i + (size_t(k) - size_t(c)) * in.plane()], T(2)); };
    for (int k = c - (spec.size - 1) / 2; k <= c + spec.size / 2; ++k) norm += square(k);
    norm = T(spec.kappa) + T(spec.alpha) * (norm - square(spec.size / 2));
    y[i] = x[i] / std::pow(norm, T(spec.beta));
  }
  return y;
}

}  // namespace dn
