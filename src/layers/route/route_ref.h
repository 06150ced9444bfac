// [route] by its formula, on plain [N,C,H,W]: what every kernel must compute. See route.h.
#pragma once

#include "layers/route/route.h"

namespace dn {

template <class T>
std::vector<T> route_reference(const Route& layer, std::span<const Shape> in, std::span<const std::vector<T>> x) {
  std::vector<T> y;
  for (int n = 0; n < in[0].n; ++n)
    for (size_t s = 0; s < in.size(); ++s) {
      const size_t part = in[s].per_image() / size_t(layer.spec().groups);
      const auto first = x[s].begin() + ptrdiff_t(n * in[s].per_image() + layer.spec().group_id * part);
      y.insert(y.end(), first, first + ptrdiff_t(part));
    }
  return y;
}

}  // namespace dn
