// [local] by its formula, on plain [N,C,H,W]. See local.h.
#pragma once

#include "layers/local/local.h"

namespace dn {

template <class T>
std::vector<T> local_reference(const Local& layer, const Shape& in, const Shape& out, const std::vector<T>& x, const std::vector<T>& b,
                               const std::vector<T>& w) {
  const int size = layer.spec().size, stride = layer.spec().stride, p = layer.padding();
  std::vector<T> y;
  for (int n = 0; n < out.n; ++n)
    for (int f = 0; f < out.c; ++f)
      for (int i = 0; i < out.h; ++i)
        for (int j = 0; j < out.w; ++j) {
          T z = b[size_t((f * out.h + i) * out.w + j)];
          for (int c = 0; c < in.c; ++c)
            for (int u = 0; u < size; ++u)
              for (int v = 0; v < size; ++v) {
                const int row = stride * i + u - p, column = stride * j + v - p;
                if (row < 0 || row >= in.h || column < 0 || column >= in.w) continue;
                z += w[size_t(((((i * out.w + j) * out.c + f) * in.c + c) * size + u) * size + v)] *
                     x[size_t(((n * in.c + c) * in.h + row) * in.w + column)];
              }
          y.push_back(activate(layer.activation(), z));
        }
  return y;
}

}  // namespace dn
