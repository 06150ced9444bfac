// [dropout] by its formula, on plain [N,C,H,W]: what every kernel must compute. See dropout.h.
#pragma once

#include "layers/dropout/dropout.h"

namespace dn {

template <class T>
std::vector<T> dropout_reference(const Dropout& layer, const Pass& pass, const Shape& in, const std::vector<T>& x) {
  if (!pass.training) return x;
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
