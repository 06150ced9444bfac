// What stands around without a label, and what is in the way of the camera.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "data/synth/shapes.h"

namespace dn::synth {
namespace {

void draw_rock(Canvas& canvas, Rng& rng, const Look& look) {
  const Color stone = hsv(rng.uniform(0.05, 0.65), rng.uniform(0, 0.15), rng.uniform(0.35, 0.65));
  const double h = rng.uniform(0.4, 0.75);
  std::vector<Point> outline{{-0.5, 0}};
  for (int i = 1; i < 7; ++i) {
    const double angle = std::numbers::pi * (1 - i / 7.0);
    outline.push_back({0.5 * std::cos(angle) * rng.uniform(0.85, 1.05), -h * std::sin(angle) * rng.uniform(0.8, 1.1)});
  }
  outline.push_back({0.5, 0});
  canvas.fill(rounded(outline, 0.05), stone);
  canvas.fill(Path::polygon({outline[2], outline[4], {0.05, -h * 0.45}, {-0.2, -h * 0.4}}), fade(shade(stone, 1.3), 0.7));
  canvas.fill(Path::polygon({{0.05 - look.light * 0.3, -h * 0.45}, outline[5], outline[7], {0, 0}}), fade(shade(stone, 0.65), 0.7));
}

void draw_bush(Canvas& canvas, Rng& rng, const Look&) {
  const Color leaf = hsv(rng.uniform(0.18, 0.38), rng.uniform(0.3, 0.65), rng.uniform(0.2, 0.5));
  for (int i = 0; i < 28; ++i) {
    const double x = rng.uniform(-0.42, 0.42), top = 0.42 * std::sqrt(1 - x * x * 4.5), y = -rng.uniform(0.08, std::max(0.1, top));
    blob(canvas, rng, x, y, 0.11, 0.09, shade(leaf, 0.6 + 0.9 * -y + rng.uniform(-0.1, 0.1)), 0.3);
  }
}

void draw_post(Canvas& canvas, Rng& rng, const Look&) {  // a sign or a lamp on a post
  const Color metal = hsv(0.6, 0.05, rng.uniform(0.3, 0.7));
  canvas.stroke(Path().move(0, 0).line(0, -0.9), metal, 0.03, Cap::butt);
  const Color plate = any_color(rng), edge = rng.coin() ? Color{0.95, 0.95, 0.95} : Color{0.75, 0.1, 0.1};
  switch (rng.below(4)) {
    case 0:
      canvas.fill(Path::ellipse(0, -0.82, 0.15, 0.15), edge);
      canvas.fill(Path::ellipse(0, -0.82, 0.115, 0.115), plate);
      break;
    case 1:
      canvas.fill(Path::polygon({{0, -1}, {0.16, -0.72}, {-0.16, -0.72}}), edge),
          canvas.fill(Path::polygon({{0, -0.94}, {0.11, -0.75}, {-0.11, -0.75}}), plate);
      break;
    case 2:
      canvas.fill(Path::round_rect(-0.2, -1, 0.4, 0.24, 0.02), edge), canvas.fill(Path::round_rect(-0.18, -0.98, 0.36, 0.2, 0.02), plate);
      break;
    default:
      canvas.stroke(Path().move(0, -0.9).curve(0, -1.02, 0.16, -1.02, 0.2, -0.97), metal, 0.025);
      canvas.fill(Path::ellipse(0.22, -0.95, 0.06, 0.03), Color{0.95, 0.93, 0.8});
  }
}

void draw_crate(Canvas& canvas, Rng& rng, const Look&) {
  const Color wood = rng.uniform() < 0.7 ? hsv(rng.uniform(0.07, 0.1), rng.uniform(0.3, 0.6), rng.uniform(0.4, 0.75)) : any_color(rng);
  const double h = rng.uniform(0.5, 0.9);
  canvas.fill(Path::rect(-0.42, -h, 0.84, h), shade(wood, 0.85));
  for (int i = 0; i < 5; ++i) canvas.fill(Path::rect(-0.42, -h + i * h / 5 + 0.008, 0.84, h / 5 - 0.016), shade(wood, rng.uniform(0.9, 1.15)));
  canvas.stroke(Path::rect(-0.39, -h + 0.03, 0.78, h - 0.06), shade(wood, 0.7), 0.06, Cap::butt);
  if (rng.coin()) canvas.stroke(Path().move(-0.38, -0.02).line(0.38, -h + 0.02), shade(wood, 0.7), 0.06, Cap::butt);
}

void draw_bale(Canvas& canvas, Rng& rng, const Look&) {  // round like a ball, but of straw
  const Color straw = hsv(rng.uniform(0.1, 0.14), rng.uniform(0.35, 0.6), rng.uniform(0.6, 0.85));
  canvas.fill(rounded({{-0.2, 0}, {-0.2, -0.75}, {0.5, -0.72}, {0.5, 0}}, 0.2), shade(straw, 0.8));
  canvas.fill(Path::ellipse(-0.15, -0.375, 0.3, 0.375), straw);
  for (int i = 1; i < 6; ++i) canvas.stroke(Path::ellipse(-0.15, -0.375, 0.3 * i / 6, 0.375 * i / 6), shade(straw, rng.uniform(0.6, 0.85)), 0.012);
}

void draw_cone(Canvas& canvas, Rng& rng, const Look&) {
  const Color paint = hsv(rng.uniform(0, 0.08), 0.85, 0.9);
  canvas.fill(Path::polygon({{-0.06, -0.9}, {0.06, -0.9}, {0.26, -0.06}, {-0.26, -0.06}}), paint);
  canvas.fill(Path::polygon({{-0.12, -0.62}, {0.12, -0.62}, {0.165, -0.42}, {-0.165, -0.42}}), Color{0.95, 0.95, 0.95});
  canvas.fill(Path::round_rect(-0.36, -0.07, 0.72, 0.07, 0.02), shade(paint, 0.6));
}

void draw_bench(Canvas& canvas, Rng& rng, const Look&) {
  const Color wood = hsv(rng.uniform(0.04, 0.12), rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.6)), iron{0.15, 0.15, 0.16};
  for (double x : {-0.36, 0.36}) canvas.stroke(Path().move(x, 0).line(x, -0.24).line(x + 0.02, -0.5), iron, 0.035);
  for (double y : {-0.24, -0.36, -0.46})
    canvas.stroke(Path().move(-0.5, y).line(0.5, y), shade(wood, rng.uniform(0.85, 1.15)), y > -0.3 ? 0.06 : 0.05, Cap::butt);
}

void draw_bin(Canvas& canvas, Rng& rng, const Look&) {
  const Color paint = any_color(rng, 0.7);
  const double w = rng.uniform(0.22, 0.34), h = rng.uniform(0.7, 0.95);
  canvas.fill(rounded({{-w, -h}, {w, -h}, {w * 0.85, 0}, {-w * 0.85, 0}}, 0.04),
              Paint::linear({-w, 0}, {w, 0}, {{0, shade(paint, 0.7)}, {0.35, shade(paint, 1.2)}, {1, shade(paint, 0.5)}}));
  for (double t : {0.25, 0.7}) canvas.stroke(Path().move(-w * 0.97, -h * t).line(w * 0.97, -h * t), shade(paint, 0.55), 0.02, Cap::butt);
  canvas.fill(Path::round_rect(-w * 1.1, -h - 0.06, w * 2.2, 0.08, 0.04), shade(paint, 0.6));
}

void draw_grass(Canvas& canvas, Rng& rng, int width, int height) {
  const int tufts = 1 + static_cast<int>(rng.below(3));
  for (int t = 0; t < tufts; ++t) {
    const double x0 = rng.uniform(0, width), reach = height * rng.uniform(0.1, 0.26);
    const Color blade = hsv(rng.uniform(0.14, 0.34), rng.uniform(0.35, 0.7), rng.uniform(0.2, 0.55));
    for (int i = 0; i < 18; ++i) {
      const double x = x0 + rng.normal() * reach * 0.35, tip = x + rng.normal() * reach * 0.3, h = reach * rng.uniform(0.5, 1),
                   w = height * 0.006 * rng.uniform(0.7, 1.4);
      canvas.fill(Path()
                      .move(x - w, height + 2)
                      .curve(x - w, height - h * 0.5, tip, height - h * 0.8, tip, height - h)
                      .curve(tip, height - h * 0.7, x + w, height - h * 0.5, x + w, height + 2)
                      .close(),
                  shade(blade, rng.uniform(0.7, 1.25)));
    }
  }
}

void draw_twig(Canvas& canvas, Rng& rng, int width, int height) {  // leaves hanging in from an upper corner
  const double side = rng.coin() ? 0 : width, inward = side > 0 ? -1 : 1, y0 = rng.uniform(0, height * 0.4), reach = width * rng.uniform(0.12, 0.25);
  const Color leaf = hsv(rng.uniform(0.15, 0.36), rng.uniform(0.35, 0.7), rng.uniform(0.2, 0.5));
  const double ex = side + inward * reach, ey = y0 + height * rng.uniform(-0.05, 0.15);
  canvas.stroke(Path().move(side - inward * 4, y0).line(ex, ey), Color{0.25, 0.18, 0.12}, width * 0.006);
  for (int i = 0; i < 16; ++i) {
    const double t = rng.uniform(0.1, 1.05), r = width * rng.uniform(0.012, 0.022);
    canvas.fill(
        Path::ellipse(std::lerp(side, ex, t) + rng.normal() * r, std::lerp(y0, ey, t) + rng.normal() * r * 1.5, r * 1.5, r * 0.7, rng.uniform(0, 3)),
        shade(leaf, rng.uniform(0.7, 1.3)));
  }
}

void draw_fence(Canvas& canvas, Rng& rng, int width, int height) {
  const double top = height * rng.uniform(0.76, 0.88), step = width * rng.uniform(0.07, 0.14), thick = step * rng.uniform(0.14, 0.3),
               first = width * rng.uniform(0, 0.6);
  const double last = first + width * rng.uniform(0.25, 0.6);
  const Color wood = rng.coin() ? Color{0.85, 0.84, 0.8} : hsv(0.08, rng.uniform(0.2, 0.5), rng.uniform(0.3, 0.55));
  for (double t : {0.25, 0.7})
    canvas.stroke(Path().move(first, std::lerp(top, height, t)).line(last, std::lerp(top, height, t)), shade(wood, 0.8), thick * 0.8, Cap::butt);
  for (double x = first; x <= last; x += step)
    canvas.fill(
        Path().move(x - thick, height + 1).line(x - thick, top + thick).line(x, top).line(x + thick, top + thick).line(x + thick, height + 1).close(),
        shade(wood, rng.uniform(0.85, 1.1)));
}

void draw_pole(Canvas& canvas, Rng& rng, int width, int height) {
  const double x = rng.uniform(0.05, 0.95) * width, w = width * rng.uniform(0.012, 0.028), lean = rng.uniform(-0.02, 0.02) * width;
  const Color paint = any_color(rng, 0.5);
  canvas.fill(Path::polygon({{x - w + lean, -1}, {x + w + lean, -1}, {x + w, height + 1.0}, {x - w, height + 1.0}}),
              Paint::linear({x - w, 0}, {x + w, 0}, {{0, shade(paint, 0.7)}, {0.4, shade(paint, 1.15)}, {1, shade(paint, 0.5)}}));
}

}  // namespace

void draw_clutter(Canvas& canvas, Rng& rng, const Look& look) {
  static constexpr void (*kThings[])(Canvas&, Rng&, const Look&) = {draw_rock, draw_bush, draw_post,  draw_crate,
                                                                    draw_bale, draw_cone, draw_bench, draw_bin};
  kThings[rng.below(static_cast<uint32_t>(std::size(kThings)))](canvas, rng, look);
}

void draw_foreground(Canvas& canvas, Rng& rng, int width, int height) {
  const double kind = rng.uniform();
  if (kind < 0.45) return draw_grass(canvas, rng, width, height);
  if (kind < 0.65) return draw_twig(canvas, rng, width, height);
  if (kind < 0.85) return draw_fence(canvas, rng, width, height);
  draw_pole(canvas, rng, width, height);
}

}  // namespace dn::synth
