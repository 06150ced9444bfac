// Balls: a pattern on a rotated sphere, evaluated per pixel: football, basketball, beach ball, tennis ball, volleyball, plain or spotted.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "data/synth/shapes.h"

namespace dn::synth {
namespace {

using Vec = std::array<double, 3>;
double dot(const Vec& a, const Vec& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

struct Pattern {
  uint32_t kind = 0;
  Color main, second, third;
  std::array<Vec, 3> axes{};  // rows of a rotation
};

Vec direction(Rng& rng) {
  const double z = rng.uniform(-1, 1), angle = rng.uniform(0, 2 * std::numbers::pi), r = std::sqrt(1 - z * z);
  return {r * std::cos(angle), r * std::sin(angle), z};
}

Pattern choose_pattern(Rng& rng) {
  Pattern p;
  p.kind = rng.below(7);
  p.main = any_color(rng), p.second = any_color(rng), p.third = any_color(rng);
  if (std::abs(luminance(p.main) - luminance(p.second)) < 0.15) p.second = luminance(p.main) > 0.3 ? Color{0.1, 0.1, 0.12} : Color{0.95, 0.95, 0.93};
  if (p.kind == 0 && rng.uniform() < 0.6) p.main = {0.95, 0.95, 0.94}, p.second = {0.08, 0.08, 0.09};
  if (p.kind == 1 && rng.uniform() < 0.6) p.main = hsv(rng.uniform(0.04, 0.08), 0.75, rng.uniform(0.6, 0.85)), p.second = {0.1, 0.07, 0.05};
  if (p.kind == 3 && rng.uniform() < 0.6) p.main = hsv(0.19, 0.7, 0.9), p.second = {0.95, 0.95, 0.9};
  const Vec a = direction(rng), b = direction(rng);
  const double along = dot(a, b);
  Vec c{b[0] - along * a[0], b[1] - along * a[1], b[2] - along * a[2]};
  const double length = std::max(1e-9, std::sqrt(dot(c, c)));
  for (double& v : c) v /= length;
  p.axes = {a, c, {a[1] * c[2] - a[2] * c[1], a[2] * c[0] - a[0] * c[2], a[0] * c[1] - a[1] * c[0]}};
  return p;
}

// Largest cosine between the place and the twelve corners of an icosahedron: near 1 inside a football's dark pentagons.
double nearest_corner(const Vec& v) {
  constexpr double kGolden = std::numbers::phi, kNorm = 1.902113032590307;
  double best = 0;
  for (int i = 0; i < 3; ++i)
    best = std::max(best, (std::abs(v[static_cast<size_t>(i)]) + kGolden * std::abs(v[static_cast<size_t>((i + 1) % 3)])) / kNorm);
  return best;
}

Color pattern_color(const Pattern& p, const Vec& normal) {
  const Vec v{dot(p.axes[0], normal), dot(p.axes[1], normal), dot(p.axes[2], normal)};
  const double longitude = std::atan2(v[1], v[0]) / std::numbers::pi;  // -1..1
  switch (p.kind) {
    case 0: return nearest_corner(v) > 0.925 ? p.second : nearest_corner(v) > 0.80 && nearest_corner(v) < 0.812 ? shade(p.main, 0.75) : p.main;
    case 1:
      return std::abs(v[0]) < 0.035 || std::abs(v[1]) < 0.035 || std::abs(std::abs(v[2]) - 0.3 - 0.45 * v[0] * v[0]) < 0.035 ? p.second : p.main;
    case 2: {
      const int sector = static_cast<int>(std::floor((longitude + 1) * 3));
      return std::abs(v[2]) > 0.96 || sector % 2 == 0 ? p.main : sector % 3 == 1 ? p.second : p.third;
    }
    case 3: return std::abs(v[2] - 0.55 * std::sin(2 * std::numbers::pi * longitude)) < 0.09 ? p.second : p.main;
    case 4: {
      const double a = std::max({std::abs(v[0]), std::abs(v[1]), std::abs(v[2])});
      const double along = a == std::abs(v[0]) ? v[1] : a == std::abs(v[1]) ? v[2] : v[0];
      return std::abs(along) < 0.22 ? p.second : std::abs(std::abs(along) - 0.23) < 0.03 ? p.third : p.main;
    }
    case 5: return std::abs(v[2]) < 0.28 ? p.second : p.main;
    default: return nearest_corner(v) > 0.96 ? p.second : p.main;
  }
}

}  // namespace

void draw_ball(Canvas& canvas, Rng& rng, const Look& look) {
  const Pattern p = choose_pattern(rng);
  const int side = std::clamp(static_cast<int>(std::lround(look.pixels)), 4, 2048);
  const double radius = side / 2.0, gloss = rng.uniform(0, 0.5);
  const Vec light{look.light * 0.6, -0.62, 0.5};
  Canvas sprite(side, side);
  const std::span<uint32_t> pixels = sprite.pixels();
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      Color sum{0, 0, 0, 0};
      for (int s = 0; s < 4; ++s) {  // four samples a pixel
        const double u = (x + 0.25 + 0.5 * (s & 1) - radius) / radius, v = (y + 0.25 + 0.5 * (s >> 1) - radius) / radius, inside = 1 - u * u - v * v;
        if (inside <= 0) continue;
        const Vec n{u, v, std::sqrt(inside)};
        const double lit = 0.45 + 0.65 * std::max(0.0, dot(n, light)), spark = gloss * std::pow(std::max(0.0, dot(n, light)), 24);
        const Color c = pattern_color(p, n);
        sum.r += std::min(1.0, c.r * lit + spark), sum.g += std::min(1.0, c.g * lit + spark), sum.b += std::min(1.0, c.b * lit + spark), sum.a += 1;
      }
      const auto byte = [](double value) { return static_cast<uint32_t>(value * 0.25 * 255 + 0.5); };
      pixels[static_cast<size_t>(y) * static_cast<size_t>(side) + static_cast<size_t>(x)] =
          byte(sum.a) << 24 | byte(sum.r) << 16 | byte(sum.g) << 8 | byte(sum.b);
    }
  canvas.push(Affine::translation(-0.5, -1) * Affine::scaling(1.0 / side, 1.0 / side));
  canvas.draw(sprite);
  canvas.pop();
}

}  // namespace dn::synth
