// [dropout] by its formula, on plain [N,C,H,W]: what every kernel must compute. See dropout.h.
#pragma once

#include "layers/dropout/dropout.h"

namespace dn {

// Every place looks for the middles of rectangles that reach it.
template <class T>
std::vector<T> dropblock_reference(const Dropout& layer, const Pass& pass, const Shape& in, const std::vector<T>& x) {
  const DropRectangle r = drop_rectangle(layer.spec(), in, pass.progress);
  std::vector<T> y;
  for (int n = 0; n < in.n; ++n) {
    const DropoutMask mask(pass, layer.index(), n, r.seeds);
    T left = 0;
    for (int c = 0; c < in.c; ++c)
      for (int i = 0; i < in.h; ++i)
        for (int j = 0; j < in.w; ++j) {
          bool dropped = false;
          for (int v = 0; v < in.h; ++v)
            for (int u = 0; u < in.w; ++u)
              if (i >= v - r.height / 2 && i < v - r.height / 2 + r.height && j >= u - r.width / 2 && j < u - r.width / 2 + r.width)
                dropped = dropped || mask.drops(uint32_t((c * in.h + v) * in.w + u));
          y.push_back(dropped ? T(0) : x[y.size()]);
          left += dropped ? 0 : 1;
        }
    for (size_t e = y.size() - in.per_image(); e < y.size(); ++e) y[e] *= left > 0 ? T(in.per_image()) / left : T(0);
  }
  return y;
}

template <class T>
std::vector<T> dropout_reference(const Dropout& layer, const Pass& pass, const Shape& in, const std::vector<T>& x) {
  if (!pass.training) return x;
  if (layer.spec().dropblock) return dropblock_reference(layer, pass, in, x);
  std::vector<T> y;
  const double p = layer.spec().probability;
  for (int n = 0; n < in.n; ++n) {
    const DropoutMask mask(pass, layer.index(), n, p);
    for (size_t e = 0; e < in.per_image(); ++e)
      y.push_back(mask.drops(static_cast<uint32_t>(e)) ? T(0) : x[size_t(n) * in.per_image() + e] / (1 - T(p)));
  }
  return y;
}

}  // namespace dn
