// [softmax] by its formula, on plain [N,C,H,W]: what every kernel must compute. See softmax.h.
#pragma once

#include <cmath>

#include "layers/softmax/softmax.h"

namespace dn {

template <class T>
std::vector<T> softmax_reference(const Softmax& layer, const Shape& in, const std::vector<T>& x) {
  const size_t groups = size_t(layer.spec().groups), plane = in.plane();
  const size_t step = layer.spec().spatial ? plane : 1;  // from one value of a softmax to the next
  const size_t length = (layer.spec().spatial ? size_t(in.c) : in.per_image()) / groups;
  std::vector<T> y(x.size());
  for (size_t run = 0; run < x.size(); run += length * step)  // an image's groups
    for (size_t first = run; first < run + step; ++first) {
      T top = x[first], sum = 0;
      for (size_t k = 0; k < length; ++k) top = std::max(top, x[first + k * step]);
      for (size_t k = 0; k < length; ++k) sum += y[first + k * step] = std::exp((x[first + k * step] - top) / T(layer.spec().temperature));
      for (size_t k = 0; k < length; ++k) y[first + k * step] /= sum;
    }
  return y;
}

}  // namespace dn
