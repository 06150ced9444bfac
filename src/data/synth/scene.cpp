// A scene is planned (what, where, how large), each thing is drawn on a layer of its own and lit, and the layers are laid over each other from far
// to near. Going back from near to far, the transmittance of everything in front gives each thing's visible part and with it the tight box.
#include "data/synth/scene.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "data/synth/backdrop.h"
#include "data/synth/photo.h"
#include "data/synth/shapes.h"

namespace dn::synth {
namespace {

constexpr double kSeenShare = 0.3;           // less of a thing visible: no label
constexpr double kSmallestSide = 7.0 / 192;  // of the picture: what a network of input 192 sees as 7 pixels

// Breadth and height of a thing of size 1, and the sizes it comes in as shares of the picture's height.
struct Measure {
  double w, h, least, most;
};
constexpr std::array<Measure, static_cast<size_t>(Kind::count)> kMeasures{{{1.0, 0.42, 0.26, 0.78},
                                                                           {0.9, 0.8, 0.22, 0.66},
                                                                           {0.62, 1.0, 0.26, 0.80},
                                                                           {0.33, 1.0, 0.27, 0.80},
                                                                           {0.85, 0.6, 0.20, 0.50},
                                                                           {1.0, 1.0, 0.125, 0.40}}};
constexpr double kFarShare = 0.12, kFarScale = 0.6;  // some things are smaller than that
constexpr Measure kClutterMeasure{0.8, 0.8, 0.07, 0.3};

struct Thing {
  std::optional<Kind> kind;  // none: clutter
  double x = 0, foot = 0;    // where it stands, pixels
  double size = 0, angle = 0, near = 1;
  bool flip = false, aloft = false;
  const Measure& measure() const { return kind ? kMeasures[static_cast<size_t>(*kind)] : kClutterMeasure; }
};

struct Layer {
  Canvas canvas;
  int x, y;                      // place of its pixel (0,0) in the picture
  int left, top, right, bottom;  // what is drawn, in its own pixels; right and bottom exclusive
};

double overlap_share(const Thing& a, const Thing& b) {
  const double aw = a.measure().w * a.size, ah = a.measure().h * a.size, bw = b.measure().w * b.size, bh = b.measure().h * b.size;
  const double w = std::min(a.x + aw / 2, b.x + bw / 2) - std::max(a.x - aw / 2, b.x - bw / 2),
               h = std::min(a.foot, b.foot) - std::max(a.foot - ah, b.foot - bh);
  return w > 0 && h > 0 ? w * h / std::min(aw * ah, bw * bh) : 0;
}

double inside_share(const Thing& a, const Stage& s) {
  const double w = a.measure().w * a.size, h = a.measure().h * a.size;
  const double in_w = std::min<double>(s.width, a.x + w / 2) - std::max(0.0, a.x - w / 2),
               in_h = std::min<double>(s.height, a.foot) - std::max(0.0, a.foot - h);
  return in_w > 0 && in_h > 0 ? in_w * in_h / (w * h) : 0;
}

void place(Thing& t, double scale, const Stage& s, Rng& rng) {
  const Measure& m = t.measure();
  t.x = rng.uniform(0.02, 0.98) * s.width;
  if (s.place == Place::flat || t.aloft) {
    t.size = scale * s.height * m.least * std::pow(m.most / m.least, rng.uniform(0, 0.9));
    t.foot = s.place == Place::flat ? rng.uniform(0.1, 1.05) * s.height : std::max(t.size * 0.8, s.horizon * rng.uniform(0.1, 1.25));
    t.near = t.aloft ? 0.6 : 1;
    return;
  }
  t.near = s.place == Place::yard ? rng.uniform(0.08, 1.02) : std::pow(rng.uniform(), 0.8) * 0.99 + 0.04;
  t.foot = s.horizon + t.near * (s.height - s.horizon);
  const double depth = s.place == Place::yard ? 0.45 + 0.55 * t.near : t.near;
  t.size = scale * s.height * std::clamp(std::lerp(m.least, m.most, depth) * rng.uniform(0.75, 1.25), m.least, m.most);
}

std::optional<Thing> plan_thing(std::optional<Kind> kind, const Stage& s, Rng& rng, const std::vector<Thing>& others) {
  Thing t;
  t.kind = kind;
  t.aloft = s.place != Place::flat && ((kind == Kind::bird && rng.uniform() < 0.35) || (kind == Kind::ball && rng.uniform() < 0.15));
  const double scale = rng.uniform() < kFarShare ? kFarScale : 1;
  const bool crowded = rng.uniform() < 0.2;
  for (int attempt = 0; attempt < 40; ++attempt) {
    place(t, scale, s, rng);
    const double limit = crowded ? 0.45 : 0.05 + 0.006 * attempt;
    if (inside_share(t, s) < (rng.uniform() < 0.25 ? 0.6 : 0.92)) continue;
    if (std::any_of(others.begin(), others.end(), [&](const Thing& o) { return overlap_share(t, o) > limit; })) continue;
    const double most = s.place == Place::flat ? 0.28 : kind == Kind::bird ? 0.25 : 0.08;
    t.angle = rng.uniform(-most, most) * (rng.coin() ? 1 : 0.3);
    t.flip = rng.coin();
    return t;
  }
  return std::nullopt;
}

std::vector<Thing> plan_scene(const Stage& s, Rng& rng) {
  static constexpr std::array<double, 7> kCounts{0.10, 0.19, 0.22, 0.19, 0.14, 0.10, 0.06};
  size_t count = 1;
  for (double draw = rng.uniform(); count < kCounts.size() && draw >= kCounts[count - 1]; ++count) draw -= kCounts[count - 1];
  std::vector<Thing> things;
  for (size_t i = 0; i < count; ++i) {
    const Kind kind = static_cast<Kind>(rng.below(static_cast<uint32_t>(Kind::count)));
    if (auto t = plan_thing(kind, s, rng, things)) things.push_back(*t);
  }
  for (uint32_t i = rng.below(3); i > 0; --i)
    if (auto t = plan_thing(std::nullopt, s, rng, things)) things.push_back(*t);
  const auto order = [&](const Thing& t) { return s.place == Place::flat ? t.x * 7.31 - std::floor(t.x * 7.31) : t.aloft ? 0.3 * s.height : t.foot; };
  std::stable_sort(things.begin(), things.end(), [&](const Thing& a, const Thing& b) { return order(a) < order(b); });
  return things;
}

void find_extent(Layer& layer) {
  const int w = layer.canvas.width(), h = layer.canvas.height();
  layer.left = w, layer.top = h, layer.right = layer.bottom = 0;
  const std::span<uint32_t> pixels = layer.canvas.pixels();
  for (int y = 0; y < h; ++y)
    for (int x = 0; x < w; ++x) {
      if (pixels[static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x)] >> 24 < 8) continue;
      layer.left = std::min(layer.left, x), layer.right = std::max(layer.right, x + 1);
      layer.top = std::min(layer.top, y), layer.bottom = std::max(layer.bottom, y + 1);
    }
  layer.right = std::max(layer.right, layer.left), layer.bottom = std::max(layer.bottom, layer.top);
}

// Light from one side, darker below, mist with distance, and an unevenness that no paint is without.
void light_layer(Layer& layer, const Thing& t, const Stage& s, Rng& rng) {
  Canvas& c = layer.canvas;
  const double l = layer.left, r = layer.right, top = layer.top, foot = layer.bottom;
  const Path all = Path::rect(0, 0, c.width(), c.height());
  c.push();
  c.blend(Blend::atop);
  const Point lit{s.light > 0 ? r : l, top}, dark{s.light > 0 ? l : r, foot};
  const double side = s.hardness * (0.4 + 0.6 * std::abs(s.light));
  c.fill(all, Paint::linear(lit, dark, {{0, fade(s.glow, 0.2 * side)}, {0.45, {0, 0, 0, 0}}, {1, {0, 0, 0.02, 0.08 + 0.26 * side}}}));
  c.fill(all, fade({s.glow.r * 0.6, s.glow.g * 0.6, s.glow.b * 0.6, 1}, 0.08));
  if (s.place == Place::open) c.fill(all, fade(s.haze, s.haze_share * std::pow(std::clamp(1 - t.near, 0.0, 1.0), 3)));
  c.pop();
  const Noise noise(rng.next());
  const float amount = static_cast<float>(rng.uniform(0.05, 0.16)), step = static_cast<float>(8 / std::max(24.0, t.size));
  const std::span<uint32_t> pixels = c.pixels();
  for (int y = layer.top; y < layer.bottom; ++y)
    for (int x = layer.left; x < layer.right; ++x) {
      uint32_t& p = pixels[static_cast<size_t>(y) * static_cast<size_t>(c.width()) + static_cast<size_t>(x)];
      const uint32_t a = p >> 24;
      if (a == 0) continue;
      const float fx = static_cast<float>(x), fy = static_cast<float>(y);
      const float by = 1 + amount * (noise.at(fx * step, fy * step) + 0.7f * noise.at(fx * 0.37f + 50, fy * 0.37f));
      const auto channel = [&](int shift) { return std::min(a, static_cast<uint32_t>(static_cast<float>(p >> shift & 255) * by + 0.5f)) << shift; };
      p = a << 24 | channel(16) | channel(8) | channel(0);
    }
}

Layer draw_layer(const Thing& t, const Stage& s, Rng& rng) {
  const int side = static_cast<int>(std::ceil(t.size * 2)) + 8;
  const double middle = side / 2.0;
  const int x = static_cast<int>(std::floor(t.x - middle)), y = static_cast<int>(std::floor(t.foot - t.size * 0.45 - middle));
  Layer layer{Canvas(side, side), x, y, 0, 0, 0, 0};
  const Affine turn = Affine::translation(t.x - x, t.foot - t.size * 0.45 - y) * Affine::rotation(t.angle) * Affine::translation(0, t.size * 0.45);
  layer.canvas.push(turn * Affine::scaling(t.flip ? -t.size : t.size, t.size));
  const Look look{t.flip ? -s.light : s.light, t.size, t.aloft || (s.place == Place::flat && rng.coin())};
  t.kind ? draw_kind(*t.kind, layer.canvas, rng, look) : draw_clutter(layer.canvas, rng, look);
  layer.canvas.pop();
  find_extent(layer);
  light_layer(layer, t, s, rng);
  if (rng.uniform() < 0.2) {
    blur(layer.canvas, rng.uniform(0.4, 0.9));
    find_extent(layer);
  }
  return layer;
}

void draw_shadows(Canvas& picture, const std::vector<Thing>& things, std::vector<Layer>& layers, const Stage& s, Rng& rng) {
  Canvas shadows(s.width, s.height);
  const double across = s.light * rng.uniform(0.2, 0.8), along = rng.uniform(-0.28, 0.32);
  const Color cast{0.02, 0.02, 0.06, 0.12 + 0.4 * s.hardness};
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    if (things[i].aloft || layer.right <= layer.left) continue;
    const double foot = layer.y + layer.bottom, width = layer.right - layer.left, mid = layer.x + (layer.left + layer.right) / 2.0;
    if (s.place == Place::flat) {
      shadows.push(Affine::translation(layer.x - s.light * 0.06 * things[i].size, layer.y + 0.05 * things[i].size));
    } else {
      shadows.fill(Path::ellipse(mid, foot - 0.01 * width, width * 0.46, std::max(1.5, width * 0.05)), Color{0, 0, 0.02, 0.45});
      // (x, y) -> (x - across (foot - y), foot + along (foot - y))
      shadows.push(Affine{1, 0, across, -along, -across * foot, foot + along * foot} * Affine::translation(layer.x, layer.y));
    }
    shadows.draw_mask(layer.canvas, cast);
    shadows.pop();
  }
  blur(shadows, std::lerp(4.5, 1.2, s.hardness) * s.width / 416);
  picture.draw(shadows);
}

// Rows and columns of the visible part, and how much of the thing it is.
struct Seen {
  int left, top, right, bottom;
  double share;
};

// Also takes the layer's opacity out of what lies behind it.
Seen look_at(Layer& layer, const Stage& s, std::vector<float>& transmittance) {
  Seen seen{s.width, s.height, 0, 0, 0};
  double total = 0, visible = 0;
  const std::span<uint32_t> pixels = layer.canvas.pixels();
  for (int y = layer.top; y < layer.bottom; ++y)
    for (int x = layer.left; x < layer.right; ++x) {
      const float alpha =
          static_cast<float>(pixels[static_cast<size_t>(y) * static_cast<size_t>(layer.canvas.width()) + static_cast<size_t>(x)] >> 24) *
          (1.0f / 255);
      total += alpha;
      const int px = layer.x + x, py = layer.y + y;
      if (px < 0 || py < 0 || px >= s.width || py >= s.height) continue;
      float& through = transmittance[static_cast<size_t>(py) * static_cast<size_t>(s.width) + static_cast<size_t>(px)];
      visible += alpha * through;
      if (alpha * through > 0.45f) {
        seen.left = std::min(seen.left, px), seen.right = std::max(seen.right, px + 1);
        seen.top = std::min(seen.top, py), seen.bottom = std::max(seen.bottom, py + 1);
      }
      through *= 1 - alpha;
    }
  seen.share = total > 0 ? visible / total : 0;
  return seen;
}

std::vector<TruthBox> find_truth(const std::vector<Thing>& things, std::vector<Layer>& layers, Canvas* foreground, const Stage& s) {
  std::vector<float> transmittance(static_cast<size_t>(s.width) * static_cast<size_t>(s.height), 1.0f);
  if (foreground) {
    const std::span<uint32_t> pixels = foreground->pixels();
    for (size_t i = 0; i < pixels.size(); ++i) transmittance[i] = 1 - static_cast<float>(pixels[i] >> 24) * (1.0f / 255);
  }
  std::vector<TruthBox> truth;
  for (size_t i = layers.size(); i-- > 0;) {
    const Seen seen = look_at(layers[i], s, transmittance);
    const double w = static_cast<double>(seen.right - seen.left) / s.width, h = static_cast<double>(seen.bottom - seen.top) / s.height;
    if (!things[i].kind || seen.share < kSeenShare || w < kSmallestSide * 0.75 || h < kSmallestSide * 0.75) continue;
    const double x = (seen.left + seen.right) * 0.5 / s.width, y = (seen.top + seen.bottom) * 0.5 / s.height;
    truth.push_back(
        {{static_cast<float>(x), static_cast<float>(y), static_cast<float>(w), static_cast<float>(h)}, static_cast<int>(*things[i].kind)});
  }
  return truth;
}

}  // namespace

Scene render_scene(uint64_t seed, uint64_t index, int width, int height) {
  ensure(width >= 64 && height >= 64 && width <= 2048 && height <= 2048, "the size of a synthetic scene");
  Rng rng(seed, RandomUse::synth, index);
  Scene scene;
  while (scene.truth.empty()) {  // something is always to be seen
    const Stage stage = choose_stage(rng, width, height);
    Canvas picture = paint_backdrop(stage, rng);
    const std::vector<Thing> things = plan_scene(stage, rng);
    std::vector<Layer> layers;
    for (const Thing& t : things) layers.push_back(draw_layer(t, stage, rng));
    draw_shadows(picture, things, layers, stage, rng);
    for (const Layer& layer : layers) {
      picture.push(Affine::translation(layer.x, layer.y));
      picture.draw(layer.canvas);
      picture.pop();
    }
    std::optional<Canvas> foreground;
    if (rng.uniform() < 0.3 && stage.place != Place::flat) {
      foreground.emplace(width, height);
      draw_foreground(*foreground, rng, width, height);
      blur(*foreground, rng.uniform(0.5, 2.5) * width / 416);
      picture.draw(*foreground);
    }
    scene.truth = find_truth(things, layers, foreground ? &*foreground : nullptr, stage);
    scene.image = develop(picture, rng);
    scene.quality = static_cast<int>(rng.uniform(62, 96));
  }
  return scene;
}

}  // namespace dn::synth
