// Naive convolution, plain [N,C,H,W]; normative, judged in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "image/truth.h"
#include "layers/convolutional/convolutional.h"
#include "nn/antialias_ref.h"

namespace dn {

template <class T>
std::vector<T> convolution_ref(const ConvolutionalSpec& s, const Shape& in, const Shape& out, const std::vector<T>& x, const std::vector<T>& w) {
  std::vector<T> y(out.count());
  const int in_group = in.c / s.groups, out_group = out.c / s.groups;
  size_t at = 0;
  for (int n = 0; n < out.n; ++n)
    for (int o = 0; o < out.c; ++o)
      for (int i = 0; i < out.h; ++i)
        for (int j = 0; j < out.w; ++j, ++at)
          for (int c = 0; c < in_group; ++c)
            for (int ky = 0; ky < s.size; ++ky)
              for (int kx = 0; kx < s.size; ++kx) {
                const int yy = i * s.stride_y + (ky - s.padding) * s.dilation, xx = j * s.stride_x + (kx - s.padding) * s.dilation;
                if (yy < 0 || yy >= in.h || xx < 0 || xx >= in.w) continue;
                const size_t channel = static_cast<size_t>(o / out_group * in_group + c);
                y[at] += w[((static_cast<size_t>(o) * in_group + c) * s.size + ky) * s.size + kx] *
                         x[((static_cast<size_t>(n) * in.c + channel) * in.h + yy) * in.w + xx];
              }
  return y;
}

// +-mean |w| per filter.
template <class T>
std::vector<T> binarize_ref(const std::vector<T>& weights, size_t filters) {
  std::vector<T> out(weights.size());
  const size_t each = weights.size() / filters;
  for (size_t o = 0; o < filters; ++o) {
    T mean = 0;
    for (size_t i = o * each; i < (o + 1) * each; ++i) mean += std::abs(weights[i]) / T(each);
    for (size_t i = o * each; i < (o + 1) * each; ++i) out[i] = weights[i] > 0 ? mean : -mean;
  }
  return out;
}

// In place, over the channels of each pixel; formulas in channel_activation.h.
template <class T>
void channel_activation_ref(ChannelActivation kind, const Shape& s, std::vector<T>& y) {
  if (kind == ChannelActivation::none) return;
  for (size_t n = 0; n < static_cast<size_t>(s.n); ++n)
    for (size_t p = 0; p < s.plane(); ++p) {
      const auto value = [&](int c) -> T& { return y[(n * static_cast<size_t>(s.c) + static_cast<size_t>(c)) * s.plane() + p]; };
      T top = 0, sum = T(kChannelEps);
      if (kind == ChannelActivation::softmax_maxval)
        for (int c = 0; c < s.c; ++c) top = c == 0 ? value(c) : std::max(top, value(c));
      for (int c = 0; c < s.c; ++c) sum += value(c) = kind == ChannelActivation::relu ? std::max(value(c), T(0)) : std::exp(value(c) - top);
      for (int c = 0; c < s.c; ++c) value(c) /= sum;
    }
}

// In place: pixels whose unit square meets a box are raised by `share` of their channels' mean.
template <class T>
void excitation_ref(T share, std::span<const std::vector<TruthBox>> truths, const Shape& s, std::vector<T>& y) {
  for (int n = 0; n < s.n; ++n)
    for (int i = 0; i < s.h; ++i)
      for (int j = 0; j < s.w; ++j) {
        bool inside = false;
        for (const TruthBox& t : truths[static_cast<size_t>(n)]) {
          const T left = (T(t.box.x) - T(t.box.w) / 2) * s.w, right = (T(t.box.x) + T(t.box.w) / 2) * s.w;
          const T top = (T(t.box.y) - T(t.box.h) / 2) * s.h, bottom = (T(t.box.y) + T(t.box.h) / 2) * s.h;
          inside |= left < j + 1 && right > j && top < i + 1 && bottom > i;
        }
        const auto value = [&](int c) -> T& { return y[((static_cast<size_t>(n) * s.c + c) * s.h + i) * s.w + j]; };
        T mean = 0;
        for (int c = 0; c < s.c; ++c) mean += value(c) / s.c;
        for (int c = 0; inside && c < s.c; ++c) value(c) += share * mean;
      }
}

}  // namespace dn
