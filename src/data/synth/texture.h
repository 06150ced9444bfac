// Surfaces of the synthetic scenes: gradient noise and the colours of grass, sand, brick and the like as functions of a place.
// Everything here is a pure function of its arguments, in float; materials take the size of a pixel on the surface and leave out detail that is
// finer than it, so that distant ground does not flicker into noise.
#pragma once

#include <array>
#include <cstdint>

#include "base/rng.h"

namespace dn::synth {

using Rgb = std::array<float, 3>;  // 0..1, sRGB values as stored
Rgb blend(const Rgb& a, const Rgb& b, float t);

float hash01(uint32_t x, uint32_t y, uint32_t seed);  // [0, 1)

class Noise {
 public:
  explicit Noise(uint32_t seed) : seed_(seed) {}
  float at(float x, float y) const;  // gradient noise (Perlin 2002's fade), about -1..1, features of size 1
  // Sum of octaves of halving size and weight; octaves fade out between twice and once the size `pixel`.
  float fractal(float x, float y, int octaves, float pixel = 0) const;
  uint32_t seed() const { return seed_; }

 private:
  uint32_t seed_;
};

enum class Material : uint8_t { grass, sand, earth, asphalt, water, snow, paving, wood, brick, plaster, fabric, gravel, count };

// One sample of a material: its kind and a palette and scale drawn once.
class Surface {
 public:
  Surface(Material material, Rng& rng);
  Material material() const { return material_; }
  Rgb color(float u, float v, float pixel) const;  // u, v in units of about a hand for walls and tables, of a step for ground

 private:
  Rgb tiles(float u, float v, float pixel) const;  // brick, paving
  Rgb planks(float u, float v, float pixel) const;
  Material material_;
  Noise fine_, broad_;
  Rgb main_{}, second_{}, joint_{};
  float scale_ = 1, strength_ = 1, stretch_ = 1;
};

}  // namespace dn::synth
