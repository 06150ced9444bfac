// Fixed-point separable blur and one pass over the pixels for everything else.
#include "data/synth/photo.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "data/synth/texture.h"

namespace dn::synth {
namespace {

// Weights of one side of the kernel, [0] the middle one, in 1/65536.
std::vector<uint32_t> gaussian(double sigma) {
  const int reach = std::max(1, static_cast<int>(std::ceil(sigma * 2.6)));
  std::vector<double> w(static_cast<size_t>(reach) + 1);
  double sum = 0;
  for (size_t i = 0; i < w.size(); ++i) {
    w[i] = std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma));
    sum += i == 0 ? w[i] : 2 * w[i];
  }
  std::vector<uint32_t> out(w.size());
  uint32_t sides = 0;
  for (size_t i = 1; i < w.size(); ++i) sides += 2 * (out[i] = static_cast<uint32_t>(w[i] / sum * 65536));
  out[0] = 65536 - sides;  // the sum is exact, so flat areas stay what they are
  return out;
}

// to[i] = weighted sum of from[i +- k * stride]; `from` has reach * stride valid bytes on both sides.
void convolve(const uint8_t* from, uint8_t* to, size_t count, size_t stride, const std::vector<uint32_t>& weights, std::vector<uint32_t>& sums) {
  sums.assign(count, 32768);
  for (size_t k = 0; k < weights.size(); ++k) {
    const uint32_t w = weights[k];
    const uint8_t *a = from - k * stride, *b = from + k * stride;
    if (k == 0)
      for (size_t i = 0; i < count; ++i) sums[i] += w * from[i];
    else
      for (size_t i = 0; i < count; ++i) sums[i] += w * (static_cast<uint32_t>(a[i]) + b[i]);
  }
  for (size_t i = 0; i < count; ++i) to[i] = static_cast<uint8_t>(sums[i] >> 16);
}

struct Shot {
  std::array<float, 3> gain;
  float contrast, saturation, vignette, noise, chroma;
};

Shot choose_shot(Rng& rng) {
  const double exposure = rng.uniform() < 0.2 ? rng.uniform(0.65, 1.35) : rng.uniform(0.95, 1.25), warm = rng.normal() * 0.04,
               green = rng.normal() * 0.015;
  Shot s;
  s.gain = {static_cast<float>(exposure * (1 + warm)), static_cast<float>(exposure * (1 + green)), static_cast<float>(exposure * (1 - warm))};
  s.contrast = static_cast<float>(rng.uniform(0.88, 1.22));
  s.saturation = static_cast<float>(rng.uniform() < 0.03 ? rng.uniform(0, 0.3) : rng.uniform(0.8, 1.25));
  s.vignette = static_cast<float>(rng.uniform() < 0.5 ? 0 : rng.uniform(0.1, 0.45));
  s.noise = static_cast<float>(rng.uniform() < 0.2 ? rng.uniform(0.012, 0.028) : rng.uniform(0.002, 0.012));
  s.chroma = static_cast<float>(rng.uniform(0.2, 0.8));
  return s;
}

// About normal, deviation 1: the sum of four uniform bytes.
float bell(uint32_t bits) {
  const int sum = static_cast<int>((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));
  return static_cast<float>(sum - 510) * (1.0f / 148.0f);
}

}  // namespace

void blur(Canvas& canvas, double sigma) {
  if (sigma < 0.2) return;
  const std::vector<uint32_t> weights = gaussian(sigma);
  const size_t reach = weights.size() - 1, w = static_cast<size_t>(canvas.width()), h = static_cast<size_t>(canvas.height()), row = w * 4;
  const std::span<uint32_t> pixels = canvas.pixels();
  std::vector<uint32_t> line(w + 2 * reach), sums;
  std::vector<uint8_t> middle(row * (h + 2 * reach));
  for (size_t y = 0; y < h; ++y) {
    const uint32_t* from = pixels.data() + y * w;
    std::fill_n(line.begin(), reach, from[0]);
    std::copy_n(from, w, line.begin() + static_cast<long>(reach));
    std::fill_n(line.begin() + static_cast<long>(reach + w), reach, from[w - 1]);
    convolve(reinterpret_cast<const uint8_t*>(line.data() + reach), middle.data() + (y + reach) * row, row, 4, weights, sums);
  }
  for (size_t k = 0; k < reach; ++k) {
    std::copy_n(middle.data() + reach * row, row, middle.data() + k * row);
    std::copy_n(middle.data() + (reach + h - 1) * row, row, middle.data() + (reach + h + k) * row);
  }
  for (size_t y = 0; y < h; ++y)
    convolve(middle.data() + (y + reach) * row, reinterpret_cast<uint8_t*>(pixels.data() + y * w), row, row, weights, sums);
}

Image develop(Canvas& scene, Rng& rng) {
  blur(scene, rng.uniform() < 0.12 ? rng.uniform(0.7, 1.1) : rng.uniform(0.15, 0.55));
  const Shot shot = choose_shot(rng);
  Image image = scene.image();
  const uint32_t seed = rng.next();
  const float cx = static_cast<float>(image.width) / 2, cy = static_cast<float>(image.height) / 2, reach = 1 / (cx * cx + cy * cy);
  uint8_t* p = image.pixels.data();
  uint32_t state = seed | 1;
  const auto draw = [&state] {  // xorshift32: noise needs speed, not quality
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    return state * 0x9E3779B1u;
  };
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x, p += 3) {
      const float dx = static_cast<float>(x) - cx, dy = static_cast<float>(y) - cy, edge = 1 - shot.vignette * (dx * dx + dy * dy) * reach;
      std::array<float, 3> c;
      for (size_t k = 0; k < 3; ++k) c[k] = (static_cast<float>(p[k]) * (1.0f / 255) * shot.gain[k] * edge - 0.45f) * shot.contrast + 0.45f;
      const float grey = 0.3f * c[0] + 0.59f * c[1] + 0.11f * c[2];
      const float common = bell(draw()), level = shot.noise * (0.5f + std::sqrt(std::max(grey, 0.0f)));
      for (size_t k = 0; k < 3; ++k) {
        const float v = grey + (c[k] - grey) * shot.saturation + level * (common + shot.chroma * bell(draw()));
        p[k] = static_cast<uint8_t>(std::clamp(v, 0.0f, 1.0f) * 255 + 0.5f);
      }
    }
  return image;
}

}  // namespace dn::synth
