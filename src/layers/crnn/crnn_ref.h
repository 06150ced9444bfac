// [crnn] by its formula, on plain [N,C,H,W], image n = step * sequences + sequence. See crnn.h.
#pragma once

#include <vector>

#include "layers/crnn/crnn.h"

namespace dn {

// convolve(part, input, its shape) gives a convolution's output. steps: of time; 1 at inference.
template <class T, class Convolve>
std::vector<T> crnn_reference(const Crnn& layer, const Shape& in, const std::vector<T>& x, int steps, const Convolve& convolve) {
  const Shape all = layer.state_shape(in);
  Shape one = all;
  one.n /= steps;
  const std::vector<T> input = convolve(int(Crnn::kIn), x, in);
  std::vector<T> states, last(one.count(), T(0));
  for (int t = 0; t < steps; ++t) {
    std::vector<T> state = convolve(int(Crnn::kSelf), last, one);
    for (size_t i = 0; i < state.size(); ++i) state[i] += input[size_t(t) * one.count() + i] + (layer.spec().shortcut ? last[i] : T(0));
    states.insert(states.end(), state.begin(), state.end());
    last = std::move(state);
  }
  return convolve(int(Crnn::kOut), states, all);
}

}  // namespace dn
