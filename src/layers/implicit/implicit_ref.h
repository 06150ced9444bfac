// [implicit] by its formula, on plain [N,C,H,W]. See implicit.h.
#pragma once

#include "layers/implicit/implicit.h"

namespace dn {

template <class T>
std::vector<T> implicit_reference(const std::vector<T>& weights, const Shape& out) {
  std::vector<T> y;
  for (int n = 0; n < out.n; ++n) y.insert(y.end(), weights.begin(), weights.end());
  return y;
}

}  // namespace dn
