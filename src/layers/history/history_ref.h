// [history] by its formula, on plain [N,C,H,W], image n = step * sequences + sequence. See history.h.
#pragma once

#include <vector>

#include "layers/history/history.h"

namespace dn {

template <class T>
std::vector<T> history_reference(const History& layer, const Shape& in, const std::vector<T>& x, int steps) {
  const int sequences = in.n / steps;
  std::vector<T> y;
  for (int image = 0; image < in.n; ++image)
    for (int back = 0; back < layer.spec().history_size; ++back)
      for (size_t i = 0; i < in.per_image(); ++i) {
        const int from = image - back * sequences;
        y.push_back(from < 0 ? T(0) : x[size_t(from) * in.per_image() + i]);
      }
  return y;
}

}  // namespace dn
