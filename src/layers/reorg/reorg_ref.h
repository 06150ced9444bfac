// [reorg], [reorg3d] by their formulas, on plain [N,C,H,W]: what every kernel must compute. See reorg.h.
#pragma once

#include "layers/reorg/reorg.h"

namespace dn {

template <class T>
std::vector<T> reorg_reference(const Reorg& layer, const Shape& in, const std::vector<T>& x) {
  const Shape out = layer.output_shape({&in, 1});
  const int s = layer.spec().stride;
  // [c,h,w] of the deep map, C of the wide one
  const Shape deep = layer.spec().reverse || layer.flat() ? in : out;
  const int channels = deep.c / (s * s);
  std::vector<T> y(x.size());
  for (int n = 0; n < deep.n; ++n)
    for (int k = 0; k < deep.c; ++k)
      for (int j = 0; j < deep.h; ++j)
        for (int i = 0; i < deep.w; ++i) {
          const int o = k / channels;
          const size_t at_deep = ((size_t(n) * deep.c + k) * deep.h + j) * deep.w + i;
          const size_t at_wide = ((size_t(n) * channels + k % channels) * deep.h * s + j * s + o / s) * deep.w * s + i * s + o % s;
          (layer.spec().reverse ? y[at_wide] : y[at_deep]) = x[layer.spec().reverse ? at_deep : at_wide];
        }
  return y;
}

}  // namespace dn
