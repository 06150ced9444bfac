// [avgpool] by its formula, on plain [N,C,H,W]: what every kernel must compute. See avgpool.h.
#pragma once

#include <vector>

#include "tensor/tensor.h"

namespace dn {

template <class T>
std::vector<T> avgpool_reference(const Shape& in, const std::vector<T>& x) {
  std::vector<T> y;
  for (size_t plane = 0; plane < x.size(); plane += in.plane()) {
    T sum = 0;
    for (size_t i = 0; i < in.plane(); ++i) sum += x[plane + i];
    y.push_back(sum / T(in.plane()));
  }
  return y;
}

}  // namespace dn
