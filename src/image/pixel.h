// The sweep of resize.h for one pixel: the coordinates, which the sweep takes from here, and the scalar forms of its vector code, for kernels of a GPU.
#pragma once

#include "base/host_device.h"
#include "image/colour.h"

namespace dn {

// Where an output of one axis is taken from: low and low + 1 mixed by weight; `outside` means the fill colour.
struct Tap {
  int low = 0;
  float weight = 0;
  bool outside = false;
};

// Source coordinate of output i, in pixels of the image at hand. Pixel j of an image shrunk by s covers pixels s j .. s j + s-1 of the original.
DN_HD inline double source_coordinate(int start, int extent, int outputs, int shrink, int i) {
  const double original = start + (outputs > 1 ? static_cast<double>(i) * (extent - 1) / (outputs - 1) : 0.0);
  return shrink == 1 ? original : (original + 0.5) / shrink - 0.5;
}

// One axis of a sampling: outputs first, first + 1.. of `outputs`, which lie over `extent` pixels of the original from `start` on.
struct SampledAxis {
  int start = 0, extent = 0, shrink = 1;
  int outputs = 0, first = 0;
  int side = 0;  // of the image at hand
  bool flip = false;

  DN_HD Tap tap(int i) const {
    double at = source_coordinate(start, extent, outputs, shrink, flip ? outputs - 1 - first - i : first + i);
    if (at < -0.5 || at >= side - 0.5) return {0, 0, true};
    const double last = side - 1;
    at = at < 0.0 ? 0.0 : last < at ? last : at;
    const int whole = static_cast<int>(at), most = side > 2 ? side - 2 : 0, low = whole < most ? whole : most;
    return {low, static_cast<float>(at - low), false};
  }
};

// A Distortion in the numbers of the sweep.
struct PixelDistortion {
  float shift = 0, saturation = 1, exposure = 1;  // shift in sixths of the circle, 0 <= shift < 6
  bool neutral = true;
};
PixelDistortion pixel_distortion(const Distortion& distortion);

namespace detail {
// channel(n) of colour.h; `k` is n + h' within [0, 12).
DN_HD inline float hue_channel(float k, float value, float chroma) {
  k -= k >= 6.0f ? 6.0f : 0.0f;
  const float slope = k < 4.0f - k ? k : 4.0f - k, part = slope < 0.0f ? 0.0f : slope < 1.0f ? slope : 1.0f;
  return value - chroma * part;
}
}  // namespace detail

// colour.h for a pixel of three channels in 0..full, in place; the same steps as in colour-inl.h.
DN_HD inline void distort_pixel(float* rgb, const PixelDistortion& how, float full) {
  const float r = rgb[0], g = rgb[1], b = rgb[2];
  const float most = g > b ? g : b, least = g < b ? g : b;
  const float value = r > most ? r : most, range = value - (r < least ? r : least), inverse = 1.0f / (range > 0.0f ? range : 1.0f);
  float hue = (value == r ? (g - b) * inverse : value == g ? 2.0f + (b - r) * inverse : 4.0f + (r - g) * inverse) + how.shift;
  hue += hue < 0.0f ? 6.0f : 0.0f;
  hue -= hue >= 6.0f ? 6.0f : 0.0f;
  const float bright = value * how.exposure, brighter = bright < full ? bright : full;
  const float strong = range * how.saturation / (value > 1e-6f ? value : 1e-6f), chroma = brighter * (strong < 1.0f ? strong : 1.0f);
  rgb[0] = detail::hue_channel(hue + 5.0f, brighter, chroma);
  rgb[1] = detail::hue_channel(hue + 3.0f, brighter, chroma);
  rgb[2] = detail::hue_channel(hue + 1.0f, brighter, chroma);
}

}  // namespace dn
