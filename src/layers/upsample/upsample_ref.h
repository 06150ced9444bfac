// [upsample] by its formula, on plain [N,C,H,W]: what every kernel must compute. See upsample.h.
#pragma once

#include "layers/upsample/upsample.h"

namespace dn {

template <class T>
std::vector<T> upsample_reference(const Upsample& layer, const Shape& in, const std::vector<T>& x) {
  const Shape out = layer.output_shape({&in, 1});
  const int s = layer.factor();
  std::vector<T> y(out.count(), T(0));
  for (int plane = 0; plane < in.n * in.c; ++plane)
    for (int i = 0; i < std::max(in.h, out.h); ++i)
      for (int j = 0; j < std::max(in.w, out.w); ++j) {
        const int xi = layer.enlarges() ? i / s : i, xj = layer.enlarges() ? j / s : j;
        const int yi = layer.enlarges() ? i : i / s, yj = layer.enlarges() ? j : j / s;
        if (yi >= out.h || yj >= out.w) continue;
        y[(size_t(plane) * out.h + yi) * out.w + yj] += T(layer.spec().scale) * x[(size_t(plane) * in.h + xi) * in.w + xj];
      }
  return y;
}

}  // namespace dn
