// Trees: round-crowned, conifer, birch, poplar, palm and leafless ones.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "data/synth/shapes.h"

namespace dn::synth {
namespace {

Color leaf_color(Rng& rng) {
  const double kind = rng.uniform();
  if (kind < 0.62) return hsv(rng.uniform(0.2, 0.38), rng.uniform(0.3, 0.7), rng.uniform(0.22, 0.55));
  if (kind < 0.85) return hsv(rng.uniform(0.02, 0.14), rng.uniform(0.5, 0.85), rng.uniform(0.45, 0.8));
  return hsv(rng.uniform(0.9, 1.0), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.85));  // copper beech, blossom
}

void draw_trunk(Canvas& canvas, double height, double width, double lean, const Color& bark) {
  canvas.fill(Path()
                  .move(-width, 0.01)
                  .curve(-width * .5, -height * .2, -width * .5 + lean * .5, -height * .6, -width * .35 + lean, -height)
                  .line(width * .35 + lean, -height)
                  .curve(width * .5 + lean * .5, -height * .6, width * .5, -height * .2, width, 0.01)
                  .close(),
              Paint::linear({-width, 0}, {width, 0}, {{0, shade(bark, 1.2)}, {0.5, bark}, {1, shade(bark, 0.6)}}));
}

// Clumps of leaves, from dark ones behind and below to bright ones on the lit side.
void draw_crown(Canvas& canvas, Rng& rng, const Look& look, double cx, double cy, double rx, double ry, const Color& leaf) {
  const double clump = std::clamp(7.0 / look.pixels, 0.10, 0.24);
  blob(canvas, rng, cx, cy, rx * 0.9, ry * 0.9, shade(leaf, 0.55), 0.12);
  for (int layer = 0; layer < 3; ++layer) {
    const int count = static_cast<int>((1.6 + 0.5 * layer) / (clump * std::sqrt(clump)));
    for (int i = 0; i < count; ++i) {
      const double angle = rng.uniform(0, 2 * std::numbers::pi), reach = std::sqrt(rng.uniform()) * (0.95 - 0.12 * layer);
      const double shift = 0.12 * layer;
      const double x = cx + rx * (reach * std::cos(angle) * (1 - shift) + look.light * shift),
                   y = cy + ry * (reach * std::sin(angle) * (1 - shift) - shift);
      const double r = std::min(rx, ry) * clump * rng.uniform(0.7, 1.5) * (layer == 2 ? 0.75 : 1);
      const double bright = 0.62 + 0.2 * layer + 0.18 * (look.light * (x - cx) / rx - (y - cy) / ry) + rng.uniform(-0.1, 0.1);
      blob(canvas, rng, x, y, r, r * rng.uniform(0.6, 1), shade(leaf, bright), 0.3);
    }
  }
}

void draw_branches(Canvas& canvas, Rng& rng, double x, double y, double angle, double length, double width, int depth, const Color& bark) {
  const double ex = x + length * std::sin(angle), ey = y - length * std::cos(angle);
  canvas.stroke(Path().move(x, y).line(ex, ey), shade(bark, 1 - 0.05 * depth), width);
  if (depth == 0) return;
  const int count = 2 + static_cast<int>(rng.below(2));
  for (int i = 0; i < count; ++i)
    draw_branches(canvas, rng, ex, ey, angle * 0.8 + rng.uniform(-0.75, 0.75), length * rng.uniform(0.6, 0.78), width * 0.62, depth - 1, bark);
}

void draw_conifer(Canvas& canvas, Rng& rng, const Look& look, const Color& bark) {
  const Color needle = rng.uniform() < 0.85 ? hsv(rng.uniform(0.25, 0.46), rng.uniform(0.25, 0.6), rng.uniform(0.18, 0.42)) : leaf_color(rng);
  const double half = rng.uniform(0.2, 0.34), foot = -rng.uniform(0.06, 0.16);
  draw_trunk(canvas, 0.4, 0.035, 0, bark);
  const int tiers = 5 + static_cast<int>(rng.below(4));
  for (int t = 0; t < tiers; ++t) {
    const double top = std::lerp(foot - 0.22, -1.0, (t + 0.0) / (tiers - 1)), low = std::lerp(foot, -0.8, (t + 0.0) / (tiers - 1));
    const double w = half * (1 - 0.82 * t / (tiers - 1.0)) * rng.uniform(0.9, 1.1);
    std::vector<Point> edge{{0, top}};
    const int teeth = look.pixels < 60 ? 4 : 7;
    for (int i = 0; i <= teeth; ++i) {
      const double x = w * (1 - 2.0 * i / teeth);
      edge.push_back({x, low + 0.02 * std::abs(x) / w + rng.uniform(-0.008, 0.01)});
      if (i < teeth) edge.push_back({x - w / teeth, low - rng.uniform(0.02, 0.045)});
    }
    canvas.fill(Path::polygon(edge),
                Paint::linear({-w, 0}, {w, 0}, {{0, shade(needle, 1 - 0.3 * look.light)}, {1, shade(needle, 1 + 0.3 * look.light)}}));
    canvas.fill(Path::polygon({{0, top + 0.01}, {-w * .6, low - 0.02}, {-w * 0.1, low - 0.04}, {w * .5, low - 0.02}}),
                fade(shade(needle, 1.25), 0.25));
  }
}

void draw_palm(Canvas& canvas, Rng& rng, const Color& bark) {
  const double lean = rng.uniform(-0.15, 0.15), height = rng.uniform(0.62, 0.74);
  draw_trunk(canvas, height, 0.045, lean, shade(bark, 1.2));
  const Color leaf = hsv(rng.uniform(0.22, 0.36), rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.5));
  const int count = 9 + static_cast<int>(rng.below(4));
  for (int i = 0; i < count; ++i) {
    const double angle = std::lerp(-2.1, 2.1, (i + rng.uniform(0.2, 0.8)) / count), reach = rng.uniform(0.26, 0.36);
    const double ex = lean + reach * std::sin(angle) * 1.15, ey = -height - reach * std::cos(angle) * 0.75 + 0.05;
    const double mx = lean + reach * 0.55 * std::sin(angle), my = -height - reach * 0.75 * std::cos(angle) - 0.06;
    canvas.fill(Path()
                    .move(lean, -height - 0.01)
                    .curve(mx, my - 0.03, mx, my - 0.03, ex, ey)
                    .curve(mx, my + 0.05, mx, my + 0.05, lean, -height + 0.02)
                    .close(),
                shade(leaf, rng.uniform(0.7, 1.2)));
  }
}

void draw_birch_marks(Canvas& canvas, Rng& rng, double height, double width, double lean) {
  for (int i = 0; i < 9; ++i) {
    const double t = rng.uniform(0.05, 0.9), x = lean * t + rng.uniform(-0.6, 0.1) * width;
    canvas.stroke(Path().move(x, -height * t).line(x + width * 0.6, -height * t), Color{0.12, 0.12, 0.12, 0.85}, 0.008);
  }
}

}  // namespace

void draw_tree(Canvas& canvas, Rng& rng, const Look& look) {
  const Color bark = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.2, 0.5), rng.uniform(0.22, 0.42));
  const double kind = rng.uniform();
  if (kind < 0.27) return draw_conifer(canvas, rng, look, bark);
  if (kind < 0.35) return draw_palm(canvas, rng, bark);
  if (kind < 0.42) {
    draw_trunk(canvas, 0.34, 0.045, 0, bark);
    for (int i = 0; i < 3; ++i) draw_branches(canvas, rng, 0, -0.3, rng.uniform(-0.5, 0.5) + (i - 1) * 0.35, rng.uniform(0.18, 0.23), 0.03, 4, bark);
    return;
  }
  const Color leaf = leaf_color(rng);
  const bool birch = kind > 0.86, poplar = kind > 0.78 && !birch;
  const double rx = poplar ? rng.uniform(0.14, 0.2) : rng.uniform(0.24, 0.42), ry = poplar ? rng.uniform(0.38, 0.42) : rng.uniform(0.24, 0.36);
  const double lean = rng.uniform(-0.05, 0.05), stem = 1 - 2 * ry + ry * 0.6, width = rng.uniform(0.03, 0.055) * (birch ? 0.7 : 1);
  draw_trunk(canvas, stem, width, lean, birch ? Color{0.88, 0.87, 0.84} : bark);
  if (birch) draw_birch_marks(canvas, rng, stem, width, lean);
  for (int i = 0; i < 3; ++i)
    canvas.stroke(Path().move(lean, -stem * 0.75).line(lean + rng.uniform(-0.6, 0.6) * rx, -stem - 0.1), birch ? Color{0.8, 0.79, 0.76} : bark,
                  0.018);
  draw_crown(canvas, rng, look, lean, -1 + ry, rx, ry, leaf);
}

}  // namespace dn::synth
