// [maxpool] by its formula, on plain [N,C,H,W]: what every kernel must compute. See maxpool.h.
#pragma once

#include <algorithm>

#include "layers/maxpool/maxpool.h"

namespace dn {

template <class T>
std::vector<T> maxpool_reference(const Maxpool& layer, const Shape& in, const std::vector<T>& x) {
  const Shape out = layer.output_shape({&in, 1});
  const MaxpoolSpec& spec = layer.spec();
  std::vector<T> y;
  y.reserve(out.count());
  for (int plane = 0; plane < out.n * out.c; ++plane)
    for (int i = 0; i < out.h; ++i)
      for (int j = 0; j < out.w; ++j) {
        const int top = i * spec.stride_y - spec.offset(), left = j * spec.stride_x - spec.offset();
        const T* best = nullptr;
        for (int a = std::max(top, 0); a < std::min(top + spec.size, in.h); ++a)
          for (int b = std::max(left, 0); b < std::min(left + spec.size, in.w); ++b) {
            const T* cell = &x[(size_t(plane) * in.h + a) * in.w + b];
            if (!best || *cell > *best) best = cell;
          }
        y.push_back(*best);
      }
  return y;
}

}  // namespace dn
