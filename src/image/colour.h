// Colour distortion as the darknet family does it: in HSV, hue shifted, saturation and value multiplied (both capped at full).
// With V = max(R,G,B), D = V - min, S = D / V and the hue h in sixths of a circle:
//   V' = min(V e, 1)    S' = min(S s, 1)    h' = h + shift (it wraps: red may become magenta as well as orange)
//   channel(n) = V' - V' S' clamp(min(k, 4 - k), 0, 1),   k = (n + h') mod 6,   n = 5, 3, 1 for R, G, B
// Gray images know the exposure only. The vector form is in colour-inl.h; it runs inside the sweep of image/resize.h.
#pragma once

#include <array>

#include "image/image.h"

namespace dn {

struct Distortion {
  // hue = 1 shifts by 179 steps of 2 degrees (8-bit HSV has 180 of them): the scale that published `hue` values are tuned to.
  float hue = 0;
  float saturation = 1, exposure = 1;
  bool neutral() const { return hue == 0 && saturation == 1 && exposure == 1; }
};

inline constexpr float kHueSixths = 179.0f * 2.0f / 60.0f;  // sixths of the circle per unit of `hue`

// One pixel in 0..1, in double: what the vector form is tested against.
std::array<double, 3> distort_reference(std::array<double, 3> rgb, const Distortion& distortion);

// Mean of each channel in 0..255; the channels beyond the image's are zero.
std::array<float, 3> mean_colour(const Image& image);

}  // namespace dn
