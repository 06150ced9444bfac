// Naive convolution, plain [N,C,H,W]; normative, judged in double.
#pragma once

#include <vector>

#include "layers/convolutional/convolutional.h"

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

}  // namespace dn
