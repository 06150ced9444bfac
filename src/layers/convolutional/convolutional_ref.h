// Naive convolution + normalization + activation, plain [N,C,H,W]; normative, judged in double.
#pragma once

#include <cmath>
#include <vector>

#include "layers/convolutional/convolutional.h"

namespace dn {

template <class T>
std::vector<T> convolution_ref(const ConvolutionalSpec& s, const Shape& in, const Shape& out, const std::vector<T>& x, const std::vector<T>& w) {
  std::vector<T> y(out.count());
  const int in_group = in.c / s.groups, out_group = out.c / s.groups;
  size_t at = 0;
  for (int n = 0; n < out.n; ++n)
    for (int o = 0; o < out.c; ++o)
      for (int i = 0; i < out.h; ++i)
        for (int j = 0; j < out.w; ++j, ++at)
          for (int c = 0; c < in_group; ++c)
            for (int ky = 0; ky < s.size; ++ky)
              for (int kx = 0; kx < s.size; ++kx) {
                const int yy = i * s.stride_y + (ky - s.padding) * s.dilation, xx = j * s.stride_x + (kx - s.padding) * s.dilation;
                if (yy < 0 || yy >= in.h || xx < 0 || xx >= in.w) continue;
                const size_t channel = static_cast<size_t>(o / out_group * in_group + c);
                y[at] += w[((static_cast<size_t>(o) * in_group + c) * s.size + ky) * s.size + kx] *
                         x[((static_cast<size_t>(n) * in.c + channel) * in.h + yy) * in.w + xx];
              }
  return y;
}

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
