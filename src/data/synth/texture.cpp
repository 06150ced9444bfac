// Colours per material. The palettes hold three variants each; a Surface draws one and shifts it.
#include "data/synth/texture.h"

#include <algorithm>
#include <cmath>

namespace dn::synth {

Rgb blend(const Rgb& a, const Rgb& b, float t) { return {a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t}; }

namespace {

uint32_t hash(uint32_t x, uint32_t y, uint32_t seed) {
  uint32_t h = (x * 0x8da6b343u + y * 0xd8163841u) ^ seed;
  h = (h ^ h >> 15) * 0x2c1b3c6du;
  h = (h ^ h >> 13) * 0x297a2d39u;
  return h ^ h >> 16;
}

float linear(float a, float b, float t) { return a + (b - a) * t; }  // std::lerp's care about the ends costs too much per pixel

Rgb scaled(const Rgb& c, float by) { return {c[0] * by, c[1] * by, c[2] * by}; }

float smooth(float t) { return t * t * t * (t * (t * 6 - 15) + 10); }

Rgb vary(const Rgb& c, Rng& rng, double amount) {
  const float common = static_cast<float>(rng.uniform(1 - amount, 1 + amount));
  Rgb out = scaled(c, common);
  for (float& v : out) v = std::clamp(v * static_cast<float>(rng.uniform(1 - amount * 0.5, 1 + amount * 0.5)), 0.0f, 1.0f);
  return out;
}

struct Palette {
  Rgb main, second, joint;
};

// In the order of Material.
constexpr std::array<std::array<Palette, 3>, static_cast<size_t>(Material::count)> kPalettes{{
    {{{{.30f, .42f, .16f}, {.45f, .50f, .22f}, {.55f, .50f, .30f}},
      {{.22f, .36f, .14f}, {.36f, .47f, .20f}, {.42f, .40f, .24f}},
      {{.48f, .47f, .24f}, {.60f, .55f, .32f}, {.40f, .36f, .22f}}}},
    {{{{.76f, .68f, .52f}, {.66f, .57f, .42f}, {.5f, .43f, .32f}},
      {{.82f, .77f, .66f}, {.72f, .66f, .55f}, {.5f, .45f, .4f}},
      {{.70f, .56f, .40f}, {.60f, .46f, .32f}, {.45f, .35f, .25f}}}},
    {{{{.42f, .32f, .22f}, {.32f, .24f, .17f}, {.5f, .45f, .3f}},
      {{.50f, .40f, .30f}, {.40f, .31f, .24f}, {.36f, .4f, .22f}},
      {{.36f, .28f, .22f}, {.46f, .38f, .30f}, {.3f, .3f, .2f}}}},
    {{{{.36f, .36f, .37f}, {.28f, .28f, .29f}, {.5f, .5f, .5f}},
      {{.46f, .45f, .44f}, {.38f, .38f, .38f}, {.55f, .55f, .5f}},
      {{.27f, .28f, .30f}, {.20f, .21f, .22f}, {.4f, .4f, .4f}}}},
    {{{{.20f, .36f, .45f}, {.42f, .56f, .64f}, {.75f, .83f, .88f}},
      {{.22f, .40f, .38f}, {.40f, .55f, .50f}, {.7f, .8f, .75f}},
      {{.30f, .38f, .46f}, {.48f, .55f, .62f}, {.8f, .82f, .85f}}}},
    {{{{.86f, .88f, .92f}, {.74f, .78f, .86f}, {.6f, .62f, .66f}},
      {{.92f, .92f, .92f}, {.80f, .82f, .86f}, {.6f, .6f, .6f}},
      {{.80f, .83f, .88f}, {.68f, .72f, .80f}, {.5f, .5f, .5f}}}},
    {{{{.60f, .58f, .55f}, {.50f, .49f, .47f}, {.36f, .35f, .33f}},
      {{.66f, .58f, .50f}, {.55f, .48f, .42f}, {.42f, .38f, .34f}},
      {{.48f, .50f, .52f}, {.40f, .42f, .44f}, {.62f, .62f, .6f}}}},
    {{{{.58f, .40f, .24f}, {.44f, .29f, .16f}, {.22f, .14f, .08f}},
      {{.74f, .60f, .42f}, {.62f, .48f, .32f}, {.36f, .26f, .17f}},
      {{.52f, .48f, .43f}, {.42f, .38f, .34f}, {.22f, .2f, .18f}}}},
    {{{{.58f, .30f, .22f}, {.46f, .23f, .17f}, {.66f, .62f, .57f}},
      {{.68f, .52f, .38f}, {.58f, .43f, .31f}, {.5f, .46f, .42f}},
      {{.74f, .72f, .68f}, {.62f, .60f, .57f}, {.5f, .49f, .47f}}}},
    {{{{.78f, .74f, .66f}, {.70f, .66f, .58f}, {.6f, .56f, .5f}},
      {{.62f, .68f, .70f}, {.55f, .60f, .62f}, {.5f, .5f, .5f}},
      {{.72f, .58f, .48f}, {.64f, .50f, .41f}, {.5f, .42f, .36f}}}},
    {{{{.42f, .46f, .56f}, {.34f, .37f, .47f}, {.6f, .62f, .68f}},
      {{.70f, .64f, .56f}, {.60f, .54f, .46f}, {.82f, .78f, .7f}},
      {{.52f, .34f, .34f}, {.43f, .27f, .28f}, {.66f, .5f, .48f}}}},
    {{{{.52f, .50f, .47f}, {.38f, .36f, .34f}, {.68f, .66f, .62f}},
      {{.60f, .56f, .50f}, {.44f, .40f, .36f}, {.76f, .72f, .66f}},
      {{.44f, .46f, .48f}, {.32f, .33f, .35f}, {.6f, .62f, .64f}}}},
}};

}  // namespace

float hash01(uint32_t x, uint32_t y, uint32_t seed) { return static_cast<float>(hash(x, y, seed) >> 8) * (1.0f / 16777216.0f); }

float Noise::at(float x, float y) const {
  const int ix = static_cast<int>(x) - (x < 0), iy = static_cast<int>(y) - (y < 0);
  const float tx = x - static_cast<float>(ix), ty = y - static_cast<float>(iy);
  static constexpr float kDirections[8][2] = {
      {1, 0}, {-1, 0}, {0, 1}, {0, -1}, {.7071f, .7071f}, {-.7071f, .7071f}, {.7071f, -.7071f}, {-.7071f, -.7071f}};
  const uint32_t hx = static_cast<uint32_t>(ix) * 0x8da6b343u, hy = static_cast<uint32_t>(iy) * 0xd8163841u;
  const auto corner = [&](uint32_t h, float dx, float dy) {
    h ^= seed_;
    h = (h ^ h >> 15) * 0x2c1b3c6du;
    const float* d = kDirections[h >> 29];
    return d[0] * dx + d[1] * dy;
  };
  const float sx = smooth(tx), sy = smooth(ty);
  const float top = linear(corner(hx + hy, tx, ty), corner(hx + 0x8da6b343u + hy, tx - 1, ty), sx);
  const float bottom = linear(corner(hx + hy + 0xd8163841u, tx, ty - 1), corner(hx + 0x8da6b343u + hy + 0xd8163841u, tx - 1, ty - 1), sx);
  return 1.5f * linear(top, bottom, sy);
}

float Noise::fractal(float x, float y, int octaves, float pixel) const {
  float sum = 0, weight = 0.48f, size = 1;
  for (int o = 0; o < octaves; ++o) {
    const float seen = pixel > 0 ? std::clamp(size / pixel - 1, 0.0f, 1.0f) : 1.0f;
    if (seen <= 0) break;
    sum += seen * weight * at(x / size, y / size);
    weight *= 0.55f;
    size *= 0.5f;
    x += 17.3f;
    y += 9.1f;
  }
  return sum * 1.4f;
}

Surface::Surface(Material material, Rng& rng) : material_(material), fine_(rng.next()), broad_(rng.next()) {
  const Palette& p = kPalettes[static_cast<size_t>(material)][rng.below(3)];
  main_ = vary(p.main, rng, 0.18);
  second_ = vary(p.second, rng, 0.18);
  joint_ = vary(p.joint, rng, 0.12);
  scale_ = static_cast<float>(rng.uniform(0.7, 1.6));
  strength_ = static_cast<float>(rng.uniform(0.6, 1.25));
  stretch_ = static_cast<float>(rng.uniform(0.6, 1.6));
}

Rgb Surface::tiles(float u, float v, float pixel) const {
  const bool brick = material_ == Material::brick;
  const float w = brick ? 1.0f : 1.3f * stretch_, h = brick ? 0.38f : 1.3f, row = std::floor(v / h);
  const float shifted = u / w + (brick || stretch_ > 1.1f ? std::fmod(std::abs(row), 2.0f) * 0.5f : 0.0f), column = std::floor(shifted);
  const float x = (shifted - column) * w, y = v - row * h;
  const float near_edge = std::min(std::min(x, w - x), std::min(y, h - y));
  const float joint = brick ? 0.045f : 0.035f, soft = std::max(0.02f, pixel);
  const float cover = std::clamp((near_edge - joint) / soft + 0.5f, 0.0f, 1.0f);
  const float tint = hash01(static_cast<uint32_t>(static_cast<int32_t>(row)), static_cast<uint32_t>(static_cast<int32_t>(column)), fine_.seed());
  const float rough = 1 + 0.14f * strength_ * fine_.fractal(u * 5, v * 5, 3, pixel * 5);
  const float mean = std::clamp(pixel * 1.2f, 0.0f, 1.0f);  // far away, joints melt into the mean
  const Rgb stone = scaled(blend(main_, second_, linear(tint, 0.5f, mean)), rough);
  return blend(joint_, stone, linear(cover, 0.8f, mean));
}

Rgb Surface::planks(float u, float v, float pixel) const {
  const float h = 1.5f * stretch_, row = std::floor(v / h), y = v - row * h;
  const float tint = hash01(static_cast<uint32_t>(static_cast<int32_t>(row)), 7, fine_.seed());
  const float offset = tint * 37;
  const float bend = broad_.at(u * 0.25f + offset, v * 0.6f) * 1.2f;
  const float grain = 0.5f + 0.5f * std::sin((y * 9 + bend * 5 + fine_.at(u * 0.8f + offset, v * 6) * 1.5f));
  const float fibre = fine_.fractal(u * 1.5f + offset, v * 14, 2, pixel * 10);
  Rgb c = blend(main_, second_, std::clamp(0.25f + 0.4f * grain * strength_ + 0.25f * fibre, 0.0f, 1.0f));
  c = scaled(c, 0.88f + 0.24f * tint);
  const float gap = std::clamp((std::min(y, h - y) - 0.03f) / std::max(0.03f, pixel) + 0.5f, 0.0f, 1.0f);
  return blend(joint_, c, gap);
}

Rgb Surface::color(float u, float v, float pixel) const {
  u *= scale_, v *= scale_, pixel *= scale_;
  const float wide = broad_.fractal(u * 0.18f, v * 0.18f, 3, pixel * 0.18f);
  const auto mixed = [&](float t) { return blend(main_, second_, std::clamp(t, 0.0f, 1.0f)); };
  switch (material_) {
    case Material::grass: {
      const float blades = fine_.fractal(u * 6, v * 2.2f, 4, pixel * 4), patch = std::clamp(wide * 1.6f - 0.35f, 0.0f, 1.0f);
      return scaled(blend(mixed(0.5f + 0.6f * wide + 0.5f * blades), joint_, patch * 0.6f), 1 + 0.35f * strength_ * blades);
    }
    case Material::sand: {
      const float ripple = std::sin(v * 3.2f * stretch_ + broad_.at(u * 0.5f, v * 0.5f) * 3.0f) * std::clamp(1 - pixel * 2, 0.0f, 1.0f);
      return scaled(mixed(0.4f + 0.5f * wide), 1 + 0.05f * strength_ * ripple + 0.12f * fine_.fractal(u * 7, v * 7, 3, pixel * 7));
    }
    case Material::earth:
      return scaled(blend(mixed(0.5f + 0.8f * wide), joint_, std::clamp(wide - 0.2f, 0.0f, 0.6f)),
                    1 + 0.35f * strength_ * fine_.fractal(u * 4, v * 4, 4, pixel * 4));
    case Material::asphalt: return scaled(mixed(0.5f + 0.5f * wide), 1 + 0.28f * strength_ * fine_.fractal(u * 9, v * 9, 3, pixel * 9));
    case Material::water: {
      const float wave = fine_.fractal(u * 1.1f, v * 3.4f * stretch_, 4, pixel * 2), crest = std::clamp(wave * 2.2f - 0.9f, 0.0f, 1.0f);
      return blend(mixed(0.45f + 0.8f * wave + 0.3f * wide), joint_, crest * 0.7f * strength_);
    }
    case Material::snow: return scaled(mixed(0.4f + 0.8f * wide), 1 + 0.05f * fine_.fractal(u * 5, v * 5, 3, pixel * 5));
    case Material::gravel: {
      const float stones = fine_.fractal(u * 3.5f, v * 3.5f, 3, pixel * 3.5f);
      return blend(mixed(0.5f + 1.2f * stones * strength_), joint_, std::clamp(stones * 1.6f - 0.5f, 0.0f, 0.8f));
    }
    case Material::brick:
    case Material::paving: return scaled(tiles(u, v, pixel), 1 + 0.16f * wide);
    case Material::wood: return scaled(planks(u, v, pixel), 1 + 0.1f * wide);
    case Material::fabric: {
      const float weave = std::sin(u * 22) * std::sin(v * 22) * std::clamp(1 - pixel * 7, 0.0f, 1.0f);
      const float stripe = std::clamp(std::sin(u * 2.2f * stretch_) * 6, -1.0f, 1.0f) * (stretch_ > 1 ? 0.5f : 0.0f);
      return scaled(blend(mixed(0.5f + stripe), joint_, 0.25f + 0.2f * weave), 1 + 0.14f * wide + 0.05f * fine_.at(u * 9, v * 9));
    }
    default: return scaled(mixed(0.5f + 0.9f * wide), 1 + 0.07f * strength_ * fine_.fractal(u * 4, v * 4, 3, pixel * 4));
  }
}

}  // namespace dn::synth
