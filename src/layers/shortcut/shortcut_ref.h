// [shortcut] by its formula, on plain [N,C,H,W]: what every kernel must compute. See shortcut.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "layers/shortcut/shortcut.h"

namespace dn {

// x: the layer before, then `from` in order; w: the layer's weights, empty without weights_type.
template <class T>
std::vector<T> shortcut_reference(const Shortcut& layer, std::span<const Shape> in, std::span<const std::vector<T>> x, const std::vector<T>& w) {
  const Shape& out = in[0];
  const size_t sources = in.size(), plane = out.plane();
  std::vector<T> y(out.count()), raw(sources);
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t n = i / out.per_image(), c = i / plane % size_t(out.c), pixel = i % plane;
    T total = 0, mixed = 0, top = 0;
    for (size_t s = 0; s < sources && layer.weighted(); ++s) raw[s] = layer.per_channel() ? w[s * size_t(out.c) + c] : w[s];
    if (layer.weighted()) top = *std::max_element(raw.begin(), raw.end());
    for (T& r : raw) total += r = !layer.weighted() ? T(1) : layer.norm() == MixNorm::relu ? std::max(r, T(1e-3)) : std::exp(r - top);
    for (size_t s = 0; s < sources; ++s) {
      const int k = sampling_step(in[s], out), row = int(pixel) / out.w, column = int(pixel) % out.w;
      if (c >= size_t(in[s].c) || (k < 0 && (row % k != 0 || column % k != 0))) continue;
      const size_t from = k > 0 ? size_t(row * k * in[s].w + column * k) : size_t(row / -k * in[s].w + column / -k);
      if (k < 0 && (row / -k >= in[s].h || column / -k >= in[s].w)) continue;
      mixed += (layer.weighted() ? raw[s] / (total + T(1e-4)) : T(1)) * x[s][(n * size_t(in[s].c) + c) * in[s].plane() + from];
    }
    y[i] = activate(layer.activation(), mixed);
  }
  return y;
}

}  // namespace dn
