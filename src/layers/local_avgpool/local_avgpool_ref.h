// [local_avgpool] by its formula, on plain [N,C,H,W]: what every kernel must compute. See local_avgpool.h.
#pragma once

#include <algorithm>

#include "layers/local_avgpool/local_avgpool.h"
#include "nn/antialias_ref.h"

namespace dn {

template <class T>
std::vector<T> local_avgpool_reference(const LocalAvgpool& layer, const Shape& in, const std::vector<T>& x) {
  const Shape out = layer.pooled_shape(in);
  const PoolWindow& w = layer.window();
  std::vector<T> y;
  for (int plane = 0; plane < out.n * out.c; ++plane)
    for (int i = 0; i < out.h; ++i)
      for (int j = 0; j < out.w; ++j) {
        T sum = 0, cells = 0;
        for (int a = i * w.stride_y - w.padding / 2, rows = 0; rows < w.size; ++a, ++rows)
          for (int b = j * w.stride_x - w.padding / 2, columns = 0; columns < w.size; ++b, ++columns) {
            if (a < 0 || a >= in.h || b < 0 || b >= in.w) continue;
            sum += x[(size_t(plane) * in.h + a) * in.w + b];
            cells += 1;
          }
        y.push_back(sum / cells);
      }
  return antialias_ref(layer.antialias(), out, layer.output_shape({&in, 1}), y);
}

}  // namespace dn
