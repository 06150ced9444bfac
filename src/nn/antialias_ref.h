// The blur of nn/antialias.h by its formula, on plain [N,C,H,W].
#pragma once

#include <vector>

#include "nn/antialias.h"

namespace dn {

template <class T>
std::vector<T> antialias_ref(const Antialias& blur, const Shape& host, const Shape& out, const std::vector<T>& x) {
  if (!blur) return x;
  constexpr int kBinomial[] = {1, 2, 1};
  std::vector<T> y(out.count());
  size_t at = 0;
  for (size_t plane = 0; plane < static_cast<size_t>(out.n) * static_cast<size_t>(out.c); ++plane)
    for (int i = 0; i < out.h; ++i)
      for (int j = 0; j < out.w; ++j, ++at)
        for (int a = 0; a < (blur.kind == 1 ? 3 : 2); ++a)
          for (int b = 0; b < (blur.kind == 1 ? 3 : 2); ++b) {
            const int row = i * blur.stride_y + a - (blur.kind == 1), column = j * blur.stride_x + b - (blur.kind == 1);
            if (row < 0 || row >= host.h || column < 0 || column >= host.w) continue;
            const T weight = blur.kind == 1 ? T(kBinomial[a] * kBinomial[b]) / 16 : T(1) / 4;
            y[at] += weight * x[(plane * static_cast<size_t>(host.h) + static_cast<size_t>(row)) * static_cast<size_t>(host.w) + static_cast<size_t>(column)];
          }
  return y;
}

}  // namespace dn
