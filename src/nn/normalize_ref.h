// Naive normalization + activation, plain [N,C,H,W]; normative for nn/batch_norm.h, judged in double.
#pragma once

#include <cmath>
#include <vector>

#include "nn/activation.h"
#include "tensor/tensor.h"

namespace dn {

// In place over the channels of y: batch statistics (biased variance) or given ones, then gamma, beta, activation.
template <class T>
void normalize_ref(const Shape& shape, std::vector<T>& y, const std::vector<T>& beta, const std::vector<T>* gamma, const std::vector<T>* mean,
                   const std::vector<T>* variance, Activation activation) {
  const size_t plane = shape.plane();
  for (int c = 0; c < shape.c; ++c) {
    const auto each = [&](auto&& body) {
      for (int n = 0; n < shape.n; ++n)
        for (size_t p = 0; p < plane; ++p) body(y[(static_cast<size_t>(n) * shape.c + c) * plane + p]);
    };
    T mu = 0, v = 0;
    const T count = static_cast<T>(shape.n) * static_cast<T>(plane);
    if (gamma && !mean) {
      each([&](T& value) { mu += value / count; });
      each([&](T& value) { v += (value - mu) * (value - mu) / count; });
    } else if (gamma) {
      mu = (*mean)[c], v = (*variance)[c];
    }
    each([&](T& value) {
      const T z = gamma ? (value - mu) / std::sqrt(v + T(1e-5)) * (*gamma)[c] + beta[c] : value + beta[c];
      value = activate(activation, z);
    });
  }
}

}  // namespace dn
