// [conv_lstm] by its formulas, on plain [N,C,H,W], image n = step * sequences + sequence. See conv_lstm.h.
#pragma once

#include <algorithm>
#include <vector>

#include "layers/conv_lstm/conv_lstm.h"

namespace dn {

// convolve(part, input, its shape) gives a convolution's output; steps: of time, 1 at inference. carry(step, h, c) may change what the next step sees.
template <class T, class Convolve, class Carry>
std::vector<T> conv_lstm_reference(const ConvLstm& layer, const Shape& in, const std::vector<T>& x, int steps, const Convolve& convolve,
                                   const Carry& carry) {
  const ConvLstmSpec& spec = layer.spec();
  const auto s = [](T v) { return activate(Activation::logistic, v); };
  const auto a = [&](T v) { return activate(layer.activation(), v); };
  Shape from = in, one = layer.output_shape({&in, 1}), both = one;
  from.n /= steps, one.n /= steps, both.n /= steps;
  both.c += from.c;
  std::vector<std::vector<T>> u(ConvLstm::kGates);
  for (int k = 0; k < ConvLstm::kGates && !spec.bottleneck; ++k) u[size_t(k)] = convolve(ConvLstm::kUf + k, x, in);  // statistics of all steps
  std::vector<T> y, h(one.count(), T(0)), c(h);
  for (int t = 0; t < steps; ++t) {
    std::vector<T> gates[ConvLstm::kGates], b;
    if (spec.bottleneck) {
      std::vector<T> joined;
      for (int n = 0; n < one.n; ++n) {
        joined.insert(joined.end(), h.begin() + n * long(one.per_image()), h.begin() + (n + 1) * long(one.per_image()));
        const auto frame = x.begin() + (t * from.n + n) * long(from.per_image());
        joined.insert(joined.end(), frame, frame + long(from.per_image()));
      }
      b = convolve(int(ConvLstm::kWf), joined, both);
      for (T& v : b) v = a(v);
      for (int k = 0; k < ConvLstm::kGates; ++k) gates[k] = convolve(ConvLstm::kUf + k, b, one);
    } else {
      for (int k = 0; k < ConvLstm::kGates; ++k) {
        gates[k] = convolve(ConvLstm::kWf + k, h, one);
        for (size_t i = 0; i < h.size(); ++i) gates[k][i] += u[size_t(k)][size_t(t) * h.size() + i];
      }
    }
    const auto peep = [&](int part, std::vector<T>& gate) {
      const std::vector<T> v = convolve(part, c, one);
      for (size_t i = 0; i < v.size(); ++i) gate[i] += v[i];
    };
    if (spec.peephole) peep(ConvLstm::kVf, gates[ConvLstm::kF]), peep(ConvLstm::kVi, gates[ConvLstm::kI]);
    for (size_t i = 0; i < c.size(); ++i) {
      c[i] = s(gates[ConvLstm::kF][i]) * c[i] + s(gates[ConvLstm::kI][i]) * a(gates[ConvLstm::kG][i]);
      if (spec.state_constrain > 0) c[i] = std::clamp(c[i], T(-spec.state_constrain), T(spec.state_constrain));
    }
    if (spec.peephole) peep(ConvLstm::kVo, gates[ConvLstm::kO]);
    for (size_t i = 0; i < h.size(); ++i) {
      h[i] = s(gates[ConvLstm::kO][i]) * a(c[i]);
      if (spec.bottleneck && spec.shortcut && i % one.per_image() < size_t(one.c / 2) * one.plane()) h[i] += b[i];
    }
    y.insert(y.end(), h.begin(), h.end());
    carry(t, h, c);
  }
  return y;
}

}  // namespace dn
