// [sam] by its formula, on plain [N,C,H,W]: what every kernel must compute. See sam.h.
#pragma once

#include "layers/sam/sam.h"

namespace dn {

template <class T>
std::vector<T> sam_reference(const Sam& layer, const std::vector<T>& a, const std::vector<T>& x) {
  std::vector<T> y;
  for (size_t i = 0; i < x.size(); ++i) y.push_back(activate(layer.activation(), x[i] * a[i]));
  return y;
}

}  // namespace dn
