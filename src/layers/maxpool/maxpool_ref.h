// [maxpool] by its formula, on plain [N,C,H,W]: what every kernel must compute. See maxpool.h.
#pragma once

#include <algorithm>

#include "layers/maxpool/maxpool.h"
#include "nn/antialias_ref.h"

namespace dn {

template <class T>
std::vector<T> maxpool_depth_reference(const Shape& in, int out_channels, const std::vector<T>& x) {
  std::vector<T> y;
  for (int n = 0; n < in.n; ++n)
    for (int g = 0; g < out_channels; ++g)
      for (size_t pixel = 0; pixel < in.plane(); ++pixel) {
        T best = x[(size_t(n) * in.c + g) * in.plane() + pixel];
        for (int k = g; k < in.c; k += out_channels) best = std::max(best, x[(size_t(n) * in.c + k) * in.plane() + pixel]);
        y.push_back(best);
      }
  return y;
}

template <class T>
std::vector<T> pooled_reference(const Maxpool& layer, const Shape& in, const std::vector<T>& x) {
  const Shape out = layer.pooled_shape(in);
  const MaxpoolSpec& spec = layer.spec();
  if (spec.maxpool_depth) return maxpool_depth_reference(in, spec.out_channels, x);
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

template <class T>
std::vector<T> maxpool_reference(const Maxpool& layer, const Shape& in, const std::vector<T>& x) {
  return antialias_ref(layer.antialias(), layer.pooled_shape(in), layer.output_shape({&in, 1}), pooled_reference(layer, in, x));
}

}  // namespace dn
