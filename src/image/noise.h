// Noise of a camera: to every value of planar floats in 0..1 a normal number is added, and the sum is cut to 0..1.
//   n(i) = deviation sqrt(-2 ln u1) cos(2 pi u2)   (Box and Muller),  u1, u2: 24 bits each of a hash of (key, i), i the value's number in the view
// A value's noise depends on the key and its place only.
#pragma once

#include <cmath>

#include "base/host_device.h"
#include "image/resize.h"

namespace dn {

namespace detail {
// Multipliers of a 32-bit mixer without visible bias (Wellons, "Prospecting for hash functions").
inline constexpr uint32_t kFirstMixer = 0x7feb352du, kSecondMixer = 0x846ca68bu;
DN_HD inline uint32_t mix_bits(uint32_t x) {
  x = (x ^ (x >> 16)) * kFirstMixer;
  x = (x ^ (x >> 15)) * kSecondMixer;
  return x ^ (x >> 16);
}
}  // namespace detail

struct NoiseKeys {
  uint32_t a = 0, b = 0;
};
inline NoiseKeys noise_keys(uint64_t key) { return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)}; }

// The two hashes of value number i.
struct NoiseHash {
  uint32_t first = 0, second = 0;
};
DN_HD inline NoiseHash noise_hash(NoiseKeys keys, uint32_t i) {
  const uint32_t first = detail::mix_bits(i ^ keys.a);
  return {first, detail::mix_bits(first + keys.b)};
}

// n(i) / deviation in float, for kernels of a GPU.
DN_HD inline float noise_at(NoiseKeys keys, uint32_t i) {
  constexpr float kUnit = 1.0f / 16777216.0f, kTurn = 6.28318530717958647692f / 16777216.0f;
  const NoiseHash hash = noise_hash(keys, i);
  const float square = -2.0f * std::log((static_cast<float>(hash.first >> 8) + 1.0f) * kUnit);
  return std::sqrt(square > 0.0f ? square : 0.0f) * std::cos(static_cast<float>(hash.second >> 8) * kTurn);
}

void add_noise(const PlanarView& view, int channels, float deviation, uint64_t key);
// The same in plain double arithmetic, for tests.
void add_noise_reference(const PlanarView& view, int channels, float deviation, uint64_t key);

}  // namespace dn
