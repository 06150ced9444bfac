// Gaussian blur of planar floats in 0..1, in place. With an odd window of `size` pixels, r = (size - 1) / 2:
//   w(i) = exp(-i^2 / (2 sigma^2)) / sum,  -r <= i <= r,   sigma = 0.3 (r - 1) + 0.8   (the deviation that OpenCV takes for a window of this size)
//   out(x, y) = sum_ij w(i) w(j) in(x + i, y + j), coordinates clamped to the view, the sum at most 1
#pragma once

#include <span>

#include "image/resize.h"

namespace dn {

std::vector<float> gaussian_window(int size);  // `size` odd, 1 or more

// Blurs `channels` planes; what lies in one of `sharp` keeps its values. The rectangles may reach outside the view.
void blur(const PlanarView& view, int channels, int size, std::span<const PixelRect> sharp = {});
// The same in plain double arithmetic, for tests.
void blur_reference(const PlanarView& view, int channels, int size, std::span<const PixelRect> sharp = {});

}  // namespace dn
