// Mean colour (vectorized) and the reference form of the colour distortion.
#include "image/colour.h"

#include <algorithm>
#include <cmath>

#include "image/pixel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/colour.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Sums = std::array<uint64_t, 3>;

// Sum of each channel over `count` interleaved pixels.
Sums sum_channels(const uint8_t* pixels, size_t count, int channels) {
  const hn::ScalableTag<uint8_t> d;
  const hn::Repartition<uint64_t, decltype(d)> d64;
  const size_t lanes = hn::Lanes(d);
  auto a = hn::Zero(d64), b = hn::Zero(d64), c = hn::Zero(d64);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    if (channels == 1) {
      a = hn::Add(a, hn::SumsOf8(hn::LoadU(d, pixels + i)));
      continue;
    }
    hn::Vec<decltype(d)> r, g, blue;
    hn::LoadInterleaved3(d, pixels + 3 * i, r, g, blue);
    a = hn::Add(a, hn::SumsOf8(r));
    b = hn::Add(b, hn::SumsOf8(g));
    c = hn::Add(c, hn::SumsOf8(blue));
  }
  Sums sums{hn::GetLane(hn::SumOfLanes(d64, a)), hn::GetLane(hn::SumOfLanes(d64, b)), hn::GetLane(hn::SumOfLanes(d64, c))};
  for (; i < count; ++i)
    for (int k = 0; k < channels; ++k) sums[static_cast<size_t>(k)] += pixels[i * static_cast<size_t>(channels) + static_cast<size_t>(k)];
  return sums;
}

}  // namespace dn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(sum_channels);

std::array<float, 3> mean_colour(const Image& image) {
  const size_t count = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  const std::array<uint64_t, 3> sums = HWY_DYNAMIC_DISPATCH(sum_channels)(image.pixels.data(), count, image.channels);
  std::array<float, 3> mean{};
  for (size_t c = 0; c < static_cast<size_t>(image.channels); ++c)
    mean[c] = static_cast<float>(static_cast<double>(sums[c]) / static_cast<double>(count));
  return mean;
}

PixelDistortion pixel_distortion(const Distortion& distortion) {
  const double sixths = static_cast<double>(kHueSixths) * static_cast<double>(distortion.hue);
  PixelDistortion out{static_cast<float>(sixths - 6 * std::floor(sixths / 6)), distortion.saturation, distortion.exposure, distortion.neutral()};
  if (out.shift >= 6) out.shift = 0;
  return out;
}

std::array<double, 3> distort_reference(std::array<double, 3> rgb, const Distortion& distortion) {
  const auto [r, g, b] = rgb;
  const double value = std::max({r, g, b}), range = value - std::min({r, g, b});
  double hue = 0;
  if (range > 0) hue = value == r ? (g - b) / range : value == g ? 2 + (b - r) / range : 4 + (r - g) / range;
  hue += static_cast<double>(kHueSixths) * static_cast<double>(distortion.hue);
  const double brighter = std::min(value * static_cast<double>(distortion.exposure), 1.0);
  const double strength = value > 0 ? std::min(range / value * static_cast<double>(distortion.saturation), 1.0) : 0.0;
  const auto channel = [&](double n) {
    double k = std::fmod(n + hue, 6.0);
    if (k < 0) k += 6;
    return brighter - brighter * strength * std::clamp(std::min(k, 4 - k), 0.0, 1.0);
  };
  return {channel(5), channel(3), channel(1)};
}

}  // namespace dn
#endif
