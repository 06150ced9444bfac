// [crop] by its formula, on plain [N,C,H,W]; colours through image/colour.h. See crop.h.
#pragma once

#include "image/colour.h"
#include "layers/crop/crop.h"

namespace dn {

inline std::vector<double> crop_reference(const Crop& layer, const Pass& pass, const Shape& in, const Shape& out, const std::vector<double>& x) {
  std::vector<double> y(out.count());
  const auto from = [&](int n, int c, int i, int j) {
    return x[((size_t(n) * size_t(in.c) + size_t(c)) * size_t(in.h) + size_t(i)) * size_t(in.w) + size_t(j)];
  };
  size_t at = 0;
  for (int n = 0; n < out.n; ++n)
    for (int c = 0; c < out.c; ++c)
      for (int i = 0; i < out.h; ++i)
        for (int j = 0; j < out.w; ++j, ++at) {
          const CropDraw d = layer.draw(pass, n, in, out);
          const int row = d.top + i, column = d.flip ? in.w - 1 - d.left - j : d.left + j;
          double v = from(n, c, row, column);
          if (pass.training && layer.changes_colours()) {
            const Distortion change{0, static_cast<float>(d.saturation), static_cast<float>(d.exposure)};
            v = distort_reference({from(n, 0, row, column), from(n, 1, row, column), from(n, 2, row, column)}, change)[size_t(c)];
          }
          y[at] = layer.scale() * v + layer.offset() + (pass.training ? d.added[c % 3] : 0);
        }
  return y;
}

}  // namespace dn
