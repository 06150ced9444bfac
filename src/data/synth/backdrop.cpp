// Ground in perspective: at depth 1/t for t = nearness, a pixel covers 1/t units across and 1/t^2 along the ground.
#include "data/synth/backdrop.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dn::synth {
namespace {

uint32_t pack(const Rgb& c) {
  const auto byte = [](float v) { return static_cast<uint32_t>(std::clamp(v, 0.0f, 1.0f) * 255 + 0.5f); };
  return 0xFF000000u | byte(c[0]) << 16 | byte(c[1]) << 8 | byte(c[2]);
}

Rgb rgb(const Color& c) { return {static_cast<float>(c.r), static_cast<float>(c.g), static_cast<float>(c.b)}; }

Rgb times(const Rgb& c, float by) { return {c[0] * by, c[1] * by, c[2] * by}; }

struct Sky {
  Color top, low;
  double clouds;  // cover
  Color cloud;
};

Sky choose_sky(const Stage& stage, Rng& rng) {
  Sky sky{};
  sky.low = stage.haze;
  const double sunny = stage.hardness;
  sky.top = sunny > 0.35 ? hsv(rng.uniform(0.55, 0.62), rng.uniform(0.35, 0.75), rng.uniform(0.5, 0.9))
                         : hsv(rng.uniform(0.55, 0.68), rng.uniform(0.02, 0.25), rng.uniform(0.45, 0.85));
  sky.clouds = rng.uniform(0, 1);
  sky.cloud = mix({1, 1, 1}, stage.haze, rng.uniform(0, 0.5));
  return sky;
}

void paint_sky(Canvas& canvas, const Stage& stage, Rng& rng) {
  const Sky sky = choose_sky(stage, rng);
  const Noise noise(rng.next());
  const std::span<uint32_t> pixels = canvas.pixels();
  const float scale = static_cast<float>(rng.uniform(0.6, 1.8)) * 4 / static_cast<float>(stage.width);
  const int end = std::min(stage.height, static_cast<int>(stage.horizon) + 2);
  for (int y = 0; y < end; ++y) {
    const float t = std::clamp(static_cast<float>(y / std::max(1.0, stage.horizon)), 0.0f, 1.0f);
    const Rgb base = blend(rgb(sky.top), rgb(sky.low), t * t * (1.6f - 0.6f * t));
    for (int x = 0; x < stage.width; ++x) {
      const float n = noise.fractal(static_cast<float>(x) * scale, static_cast<float>(y) * scale * (1.6f + 2 * t), 4);
      const float cover = std::clamp((n + static_cast<float>(sky.clouds) - 0.62f) * 2.4f, 0.0f, 1.0f) * (1 - 0.4f * t);
      const Rgb cloud = times(rgb(sky.cloud), 0.92f + 0.12f * n);
      pixels[static_cast<size_t>(y) * static_cast<size_t>(stage.width) + static_cast<size_t>(x)] = pack(blend(base, cloud, cover));
    }
  }
}

void paint_ridges(Canvas& canvas, const Stage& stage, Rng& rng) {
  const int ridges = static_cast<int>(rng.below(4));
  const Color land = hsv(rng.uniform(0.2, 0.6), rng.uniform(0.1, 0.5), rng.uniform(0.25, 0.5));
  for (int r = 0; r < ridges; ++r) {
    const Noise noise(rng.next());
    const double rise = stage.horizon * rng.uniform(0.08, 0.4) * (1 - 0.25 * r), wave = rng.uniform(2, 6),
                 rough = rng.coin() ? 0.0 : rng.uniform(0.01, 0.05) * stage.horizon;
    std::vector<Point> line{{-2.0, stage.horizon + 3}};
    for (int x = -2; x <= stage.width + 2; x += 3) {
      const float u = static_cast<float>(x * wave / stage.width);
      line.push_back(
          {static_cast<double>(x), stage.horizon - std::max(0.0, rise * (0.5 + 0.6 * noise.fractal(u, 0.5f, 3)) + rough * noise.at(u * 14, 3))});
    }
    line.push_back({stage.width + 2.0, stage.horizon + 3});
    const Color tone = mix(stage.haze, shade(land, 0.8 + 0.3 * rng.uniform()), 0.25 + 0.25 * r + 0.2 * rng.uniform());
    canvas.fill(Path::polygon(line), tone);
  }
  if (rng.uniform() < 0.15) {  // far roofs and towers
    const Color town = mix(stage.haze, {0.35, 0.37, 0.42}, rng.uniform(0.3, 0.7));
    for (double x = rng.uniform(-20, 40); x < stage.width; x += rng.uniform(8, 40))
      canvas.fill(Path::rect(x, stage.horizon - stage.height * rng.uniform(0.01, 0.09), rng.uniform(8, 30), stage.height * 0.1),
                  shade(town, rng.uniform(0.9, 1.1)));
  }
}

// A second surface on the ground: a road across or away, or patches.
struct Cover {
  enum class Form : uint8_t { none, across, away, patches } form = Form::none;
  double middle = 0, half = 0;
  bool marks = false;
  float share(float u, float v, const Noise& noise, float pixel) const {
    const float soft = std::max(pixel * 1.5f, 0.08f), wander = 0.35f * noise.at(u * 0.4f, v * 0.4f);
    switch (form) {
      case Form::across:
        return std::clamp((static_cast<float>(half) - std::abs(v - static_cast<float>(middle)) + 0.3f * wander) / soft + 0.5f, 0.0f, 1.0f);
      case Form::away:
        return std::clamp((static_cast<float>(half) - std::abs(u - static_cast<float>(middle)) + 0.3f * wander) / soft + 0.5f, 0.0f, 1.0f);
      case Form::patches: return std::clamp((noise.fractal(u * 0.22f, v * 0.22f, 3, pixel * 0.22f) - static_cast<float>(half)) * 6, 0.0f, 1.0f);
      default: return 0;
    }
  }
};

Cover choose_cover(Rng& rng) {
  Cover c;
  const double kind = rng.uniform();
  c.form = kind < 0.4 ? Cover::Form::none : kind < 0.58 ? Cover::Form::across : kind < 0.76 ? Cover::Form::away : Cover::Form::patches;
  c.marks = rng.coin();
  if (c.form == Cover::Form::across) c.middle = rng.uniform(5.5, 11), c.half = rng.uniform(0.6, 2.2);
  if (c.form == Cover::Form::away) c.middle = rng.uniform(-2.5, 2.5), c.half = rng.uniform(0.5, 1.8);
  if (c.form == Cover::Form::patches) c.half = rng.uniform(-0.1, 0.35);
  return c;
}

Material ground_material(Rng& rng, bool indoors) {
  static constexpr Material kOpen[] = {Material::grass, Material::grass,  Material::sand,   Material::earth, Material::asphalt,
                                       Material::snow,  Material::gravel, Material::paving, Material::water};
  static constexpr Material kYard[] = {Material::paving, Material::wood,    Material::asphalt, Material::gravel,
                                       Material::grass,  Material::plaster, Material::earth};
  return indoors ? kYard[rng.below(std::size(kYard))] : kOpen[rng.below(std::size(kOpen))];
}

void paint_ground(Canvas& canvas, const Stage& stage, Rng& rng) {
  const bool indoors = stage.place == Place::yard;
  const Surface ground(ground_material(rng, indoors), rng), other(rng.coin() ? Material::asphalt : ground_material(rng, indoors), rng);
  const Cover cover = indoors ? Cover{} : choose_cover(rng);
  const Noise noise(rng.next()), shadow(rng.next());
  const float span = static_cast<float>(rng.uniform(5, 9)), w = static_cast<float>(stage.width),
              depth = static_cast<float>(stage.height - stage.horizon);
  const float dapple = static_cast<float>(rng.uniform() < 0.35 ? rng.uniform(0.1, 0.35) * stage.hardness : 0.05);
  const std::span<uint32_t> pixels = canvas.pixels();
  for (int y = std::max(0, static_cast<int>(stage.horizon)); y < stage.height; ++y) {
    const float t = std::max(0.012f, static_cast<float>(stage.nearness(y + 0.5))), far = 1 / t;
    const float v = span * 0.8f * far, pixel = std::min(span * far / w * 1.5f, 40.0f), along = std::min(span * 0.8f * far * far / depth, 40.0f);
    const float footprint = std::sqrt(pixel * along), mist = static_cast<float>(stage.haze_share) * std::pow(1 - t, 3.0f);
    for (int x = 0; x < stage.width; ++x) {
      const float u = (static_cast<float>(x) - w / 2) / w * span * far;
      const float share = cover.share(u, v, noise, footprint);
      Rgb c = share < 1 ? ground.color(u, v, footprint) : Rgb{};
      if (share > 0) {
        Rgb road = other.color(u, v, footprint);
        if (cover.marks && cover.form == Cover::Form::away && std::abs(u - static_cast<float>(cover.middle)) < 0.06f && std::fmod(v, 3.0f) < 1.6f)
          road = blend(road, {.85f, .85f, .8f}, 0.7f);
        if (cover.marks && cover.form == Cover::Form::across && std::abs(v - static_cast<float>(cover.middle)) < 0.1f &&
            std::fmod(std::abs(u), 2.4f) < 1.3f)
          road = blend(road, {.85f, .85f, .8f}, 0.7f);
        c = blend(c, road, share);
      }
      c = times(c, 1 - dapple * std::clamp(0.5f + 1.6f * shadow.fractal(u * 0.3f, v * 0.3f, 2, footprint * 0.3f), 0.0f, 1.0f));
      pixels[static_cast<size_t>(y) * static_cast<size_t>(stage.width) + static_cast<size_t>(x)] = pack(blend(c, rgb(stage.haze), mist));
    }
  }
}

// A wall or a table seen straight on, over rows [0, end).
void paint_flat(Canvas& canvas, const Stage& stage, Rng& rng, int end) {
  static constexpr Material kWalls[] = {Material::brick, Material::plaster, Material::wood, Material::brick, Material::plaster};
  static constexpr Material kTables[] = {Material::wood,   Material::fabric, Material::sand,    Material::grass, Material::paving,
                                         Material::gravel, Material::brick,  Material::plaster, Material::earth, Material::snow};
  const bool wall = stage.place == Place::yard;
  const Surface surface(wall ? kWalls[rng.below(std::size(kWalls))] : kTables[rng.below(std::size(kTables))], rng);
  const double span = rng.uniform(5, 11), angle = wall ? 0 : rng.uniform(-0.4, 0.4) + (rng.coin() ? 1.5708 : 0);
  const float step = static_cast<float>(span / stage.width), c = static_cast<float>(std::cos(angle)) * step,
              s = static_cast<float>(std::sin(angle)) * step;
  const Noise noise(rng.next());
  const float uneven = static_cast<float>(rng.uniform(0.05, 0.3));
  const std::span<uint32_t> pixels = canvas.pixels();
  for (int y = 0; y < end; ++y)
    for (int x = 0; x < stage.width; ++x) {
      const float px = static_cast<float>(x), py = static_cast<float>(y);
      const Rgb color = surface.color(c * px - s * py, s * px + c * py, step);
      const float lit = 1 + uneven * noise.at(px * step * 0.25f, py * step * 0.25f);
      pixels[static_cast<size_t>(y) * static_cast<size_t>(stage.width) + static_cast<size_t>(x)] = pack(times(color, lit));
    }
}

}  // namespace

Stage choose_stage(Rng& rng, int width, int height) {
  Stage s;
  s.width = width, s.height = height;
  const double kind = rng.uniform();
  s.place = kind < 0.62 ? Place::open : kind < 0.8 ? Place::yard : Place::flat;
  s.horizon = s.place == Place::open ? height * rng.uniform(0.22, 0.6) : s.place == Place::yard ? height * rng.uniform(0.5, 0.75) : 0;
  s.light = rng.uniform(-1, 1);
  s.hardness = rng.uniform() < 0.3 ? rng.uniform(0, 0.3) : rng.uniform(0.3, 1);
  const double hour = rng.uniform();
  if (hour < 0.6) {
    s.glow = {1, 0.98, 0.95};
    s.haze = hsv(rng.uniform(0.52, 0.62), rng.uniform(0.03, 0.25), rng.uniform(0.75, 0.96));
  } else if (hour < 0.85) {  // low sun
    s.glow = hsv(rng.uniform(0.05, 0.11), rng.uniform(0.15, 0.35), 1);
    s.haze = hsv(rng.uniform(0.03, 0.13), rng.uniform(0.2, 0.55), rng.uniform(0.75, 0.98));
  } else {  // dusk
    s.glow = hsv(rng.uniform(0.58, 0.7), rng.uniform(0.1, 0.3), rng.uniform(0.62, 0.85));
    s.haze = hsv(rng.uniform(0.55, 0.85), rng.uniform(0.1, 0.4), rng.uniform(0.45, 0.75));
  }
  s.haze_share = rng.uniform() < 0.2 ? rng.uniform(0.5, 0.85) : rng.uniform(0.05, 0.45);
  return s;
}

Canvas paint_backdrop(const Stage& stage, Rng& rng) {
  Canvas canvas(stage.width, stage.height);
  const double w = stage.width, h = stage.height;
  if (stage.place == Place::open) {
    paint_sky(canvas, stage, rng);
    paint_ridges(canvas, stage, rng);
    paint_ground(canvas, stage, rng);
  } else if (stage.place == Place::yard) {
    paint_flat(canvas, stage, rng, static_cast<int>(stage.horizon));
    paint_ground(canvas, stage, rng);
    canvas.fill(Path::rect(0, stage.horizon - h * 0.06, w, h * 0.06),
                Paint::linear({0, stage.horizon - h * 0.06}, {0, stage.horizon}, {{0, {0, 0, 0, 0}}, {1, {0, 0, 0, 0.3}}}));
    canvas.fill(Path::rect(0, stage.horizon, w, h * 0.1),
                Paint::linear({0, stage.horizon}, {0, stage.horizon + h * 0.1}, {{0, {0, 0, 0, 0.35}}, {1, {0, 0, 0, 0}}}));
    if (rng.coin()) canvas.fill(Path::rect(0, stage.horizon - h * 0.035, w, h * 0.035), shade(stage.haze, rng.uniform(0.4, 1)));  // skirting
  } else {
    paint_flat(canvas, stage, rng, stage.height);
  }
  const double x = stage.light * w * 0.6 + w / 2;  // a pool of light
  canvas.fill(Path::rect(0, 0, w, h), Paint::radial({x, h * rng.uniform(0, 0.6)}, w * 0.9,
                                                    {{0, fade(stage.glow, 0.16 * stage.hardness)}, {1, {0, 0, 0, 0.14 * stage.hardness}}}));
  return canvas;
}

}  // namespace dn::synth
