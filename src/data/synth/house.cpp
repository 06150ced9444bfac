// A house: a front with door and windows under a gabled, hipped or flat roof; sometimes a side wall in shade, a chimney, a lean-to.
#include <algorithm>
#include <cmath>

#include "data/synth/shapes.h"

namespace dn::synth {
namespace {

struct Plan {
  double width, wall, roof;  // half width; heights (positive)
  double side = 0;           // width of the visible side wall to the right
  int storeys = 1;
  Color face, trim, tiles, glass;
  int cladding = 0;  // 0 plaster, 1 bricks, 2 boards, 3 half-timbered
};

Plan make_plan(Rng& rng) {
  Plan p;
  p.storeys = rng.uniform() < 0.55 ? 1 : rng.uniform() < 0.8 ? 2 : 3;
  p.width = rng.uniform(0.3, 0.46) - (p.storeys == 3 ? 0.1 : 0);
  p.wall = std::min(0.72, (0.26 + 0.06 * rng.uniform()) * (p.storeys == 1 ? 1.15 : 1.0 + 0.62 * (p.storeys - 1)));
  p.roof = rng.uniform(0.14, 0.34);
  if (p.wall + p.roof > 0.98) p.roof = 0.98 - p.wall;
  if (rng.uniform() < 0.4) p.side = rng.uniform(0.1, 0.24), p.width -= p.side * 0.45;
  switch (rng.below(4)) {
    case 0: p.face = hsv(rng.uniform(0.04, 0.16), rng.uniform(0.05, 0.4), rng.uniform(0.7, 0.95)); break;
    case 1: p.face = hsv(rng.uniform(0, 0.06), rng.uniform(0.35, 0.65), rng.uniform(0.4, 0.65)); break;
    case 2: p.face = hsv(rng.uniform(), rng.uniform(0.08, 0.4), rng.uniform(0.45, 0.85)); break;
    default: p.face = hsv(0.1, rng.uniform(0, 0.08), rng.uniform(0.6, 0.97)); break;
  }
  p.cladding = static_cast<int>(rng.below(4));
  p.trim = rng.uniform() < 0.6 ? Color{0.93, 0.92, 0.9} : hsv(rng.uniform(), rng.uniform(0.1, 0.5), rng.uniform(0.2, 0.5));
  p.tiles = rng.coin() ? hsv(rng.uniform(0, 0.06), rng.uniform(0.4, 0.7), rng.uniform(0.3, 0.6))
                       : hsv(rng.uniform(0.55, 0.7), rng.uniform(0, 0.25), rng.uniform(0.2, 0.45));
  p.glass = rng.uniform() < 0.2 ? Color{0.98, 0.85, 0.5} : hsv(0.57, rng.uniform(0.1, 0.4), rng.uniform(0.2, 0.55));
  return p;
}

void clad(Canvas& canvas, Rng& rng, const Plan& p, const Look& look) {
  const Color line = shade(p.face, 0.8);
  const double least = 2.2 / look.pixels;  // finer rows would only be grey
  if (p.cladding == 1) {
    const double row = std::max(0.022, least);
    int n = 0;
    for (double y = -row; y > -p.wall; y -= row, ++n) {
      canvas.stroke(Path().move(-p.width, y).line(p.width, y), line, row * 0.2, Cap::butt);
      for (double x = -p.width + (n % 2 ? row : 2 * row); x < p.width; x += 2 * row)
        if (rng.uniform() < 0.6) canvas.stroke(Path().move(x, y).line(x, y + row), line, row * 0.16, Cap::butt);
    }
  } else if (p.cladding == 2) {
    const double row = std::max(0.035, least);
    for (double y = -row; y > -p.wall; y -= row) canvas.stroke(Path().move(-p.width, y).line(p.width, y), line, row * 0.2, Cap::butt);
  } else if (p.cladding == 3) {
    const Color beam = hsv(0.07, 0.5, rng.uniform(0.2, 0.35));
    const double step = p.width * 2 / (3 + rng.below(2));
    for (double x = -p.width; x <= p.width + 1e-9; x += step) canvas.stroke(Path().move(x, 0).line(x, -p.wall), beam, 0.02, Cap::butt);
    canvas.stroke(Path().move(-p.width, -p.wall * 0.52).line(p.width, -p.wall * 0.52), beam, 0.018, Cap::butt);
    canvas.stroke(
        Path().move(-p.width, -p.wall * 0.02).line(-p.width + step, -p.wall * 0.5).move(p.width, -p.wall * 0.02).line(p.width - step, -p.wall * 0.5),
        beam, 0.016, Cap::butt);
  }
}

void draw_window(Canvas& canvas, Rng& rng, const Plan& p, double x, double y, double w, double h) {
  canvas.fill(Path::rect(x - w / 2 - 0.012, y - 0.012, w + 0.024, h + 0.024), p.trim);
  const Color glass = shade(p.glass, rng.uniform(0.75, 1.2));
  canvas.fill(Path::rect(x - w / 2, y, w, h),
              Paint::linear({x - w / 2, y}, {x + w / 2, y + h}, {{0, mix(glass, {1, 1, 1}, 0.3)}, {0.5, glass}, {1, shade(glass, 0.7)}}));
  if (rng.uniform() < 0.4)
    canvas.fill(Path::rect(x - w / 2, y, w * 0.25, h).add(Path::rect(x + w / 4, y, w * 0.25, h)), Color{0.95, 0.93, 0.88, 0.7});  // curtains
  canvas.stroke(Path().move(x, y).line(x, y + h).move(x - w / 2, y + h * 0.45).line(x + w / 2, y + h * 0.45), p.trim, 0.009, Cap::butt);
  canvas.fill(Path::rect(x - w / 2 - 0.02, y + h + 0.008, w + 0.04, 0.014), shade(p.trim, 0.8));
}

void draw_openings(Canvas& canvas, Rng& rng, const Plan& p) {
  const double storey = p.wall / p.storeys, h = storey * rng.uniform(0.36, 0.5), w = std::min(0.13, h * rng.uniform(0.6, 1.1));
  const int columns = std::max(2, static_cast<int>(p.width * 2 / 0.24));
  const int door_column = static_cast<int>(rng.below(static_cast<uint32_t>(columns)));
  const bool shutters = rng.uniform() < 0.3;
  const Color shutter = hsv(rng.uniform(), rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.6));
  for (int s = 0; s < p.storeys; ++s)
    for (int c = 0; c < columns; ++c) {
      const double x = -p.width + (c + 0.5) * 2 * p.width / columns, y = -storey * (s + 1) + storey * 0.22;
      if (s == 0 && c == door_column) {
        const double dw = std::min(0.12, 1.3 * p.width / columns), dh = storey * 0.72;
        const Color door = hsv(rng.uniform(), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.6));
        canvas.fill(Path::rect(x - dw / 2 - 0.012, -dh - 0.012, dw + 0.024, dh + 0.012), p.trim);
        canvas.fill(Path::rect(x - dw / 2, -dh, dw, dh), door);
        canvas.fill(Path::rect(x - dw * 0.3, -dh * 0.9, dw * 0.6, dh * 0.3), shade(p.glass, 0.9));
        canvas.fill(Path::ellipse(x + dw * 0.35, -dh * 0.45, 0.008, 0.008), Color{0.9, 0.8, 0.4});
        continue;
      }
      if (rng.uniform() < 0.08) continue;
      draw_window(canvas, rng, p, x, y, w, h);
      if (shutters) canvas.fill(Path::rect(x - w / 2 - 0.012 - w * 0.4, y, w * 0.4, h).add(Path::rect(x + w / 2 + 0.012, y, w * 0.4, h)), shutter);
    }
}

// Rows of tiles inside `shape`, from its top at `top` to `foot`.
void tile(Canvas& canvas, const Plan& p, const Path& shape, double top, double foot, const Look& look) {
  canvas.fill(shape, Paint::linear({0, top}, {0, foot}, {{0, shade(p.tiles, 1.12)}, {1, shade(p.tiles, 0.85)}}));
  canvas.push();
  canvas.clip(shape);
  const double row = std::max(0.028, 2.4 / look.pixels);
  for (double y = top + row; y < foot; y += row) canvas.stroke(Path().move(-0.8, y).line(0.8, y), shade(p.tiles, 0.72), row * 0.24, Cap::butt);
  canvas.pop();
}

void draw_roof(Canvas& canvas, Rng& rng, const Plan& p, const Look& look) {
  const double eave = rng.uniform(0.02, 0.05), w = p.width, foot = -p.wall + 0.015, top = -p.wall - p.roof;
  const auto chimney = [&](double x, double y) {
    if (rng.uniform() > 0.6) return;
    const Color brick = rng.coin() ? Color{0.5, 0.27, 0.2} : Color{0.55, 0.53, 0.5};
    canvas.fill(Path::rect(x, y - 0.1, 0.06, 0.2), brick);
    canvas.fill(Path::rect(x - 0.008, y - 0.112, 0.076, 0.02), shade(brick, 0.75));
  };
  const uint32_t form = rng.below(5);
  if (form <= 1 || p.side > 0) {  // gable to the front; with a side wall, the roof runs back along it
    const double s = p.side > 0 ? p.side + eave : 0;
    if (s > 0) tile(canvas, p, Path::polygon({{0, top}, {s * 1.1, top + p.roof * 0.04}, {w + s, foot - 0.02}, {w + eave, foot}}), top, foot, look);
    chimney(s > 0 ? 0.12 : rng.uniform(-0.18, 0.1), top + p.roof * 0.35);
    canvas.fill(Path::polygon({{-w, -p.wall + 0.001}, {0, top + 0.01}, {w, -p.wall + 0.001}}), shade(p.face, 0.96));
    if (p.roof > 0.2 && rng.coin()) draw_window(canvas, rng, p, 0, -p.wall - p.roof * 0.5, 0.08, 0.08);
    canvas.stroke(Path().move(-w - eave, foot).line(0, top).line(w + eave, foot), p.tiles, 0.035, Cap::butt);
    return;
  }
  if (form == 4) {  // flat
    canvas.fill(Path::rect(-w - 0.02, -p.wall - 0.035, 2 * w + 0.04, 0.05), shade(p.tiles, 1.1));
    if (rng.coin()) canvas.fill(Path::rect(-w * 0.5, -p.wall - 0.1, w * 0.6, 0.07), shade(p.face, 0.85));
    return;
  }
  const double cut = form == 2 ? rng.uniform(0.0, 0.03) : rng.uniform(0.3, 0.6) * w;  // seen along the ridge: straight or hipped
  chimney(rng.uniform(-0.2, 0.15), top + 0.02);
  tile(canvas, p, Path::polygon({{-w - eave, foot}, {-w - eave + cut, top}, {w + eave - cut, top}, {w + eave, foot}}), top, foot, look);
  if (rng.uniform() < 0.35) {  // a dormer
    const double x = rng.uniform(-0.4, 0.4) * w, y = -p.wall - p.roof * 0.22;
    canvas.fill(Path::polygon({{x - 0.07, y}, {x - 0.07, y - 0.08}, {x, y - 0.13}, {x + 0.07, y - 0.08}, {x + 0.07, y}}), p.face);
    draw_window(canvas, rng, p, x, y - 0.07, 0.06, 0.055);
    canvas.stroke(Path().move(x - 0.09, y - 0.07).line(x, y - 0.14).line(x + 0.09, y - 0.07), shade(p.tiles, 0.8), 0.018);
  }
}

}  // namespace

void draw_house(Canvas& canvas, Rng& rng, const Look& look) {
  const Plan p = make_plan(rng);
  canvas.push(Affine::translation(-p.side * 0.5, 0));
  if (p.side > 0) {
    const Color dark = shade(p.face, 0.68);
    canvas.fill(Path::polygon({{p.width, 0}, {p.width + p.side, -0.035}, {p.width + p.side, -p.wall - 0.012}, {p.width, -p.wall}}), dark);
    Plan shaded = p;
    shaded.trim = shade(p.trim, 0.7), shaded.glass = shade(p.glass, 0.7);
    const double storey = p.wall / p.storeys;
    for (int s = 0; s < p.storeys; ++s)
      draw_window(canvas, rng, shaded, p.width + p.side * 0.5, -storey * (s + 1) + storey * 0.22, p.side * 0.4, storey * 0.4);
  }
  canvas.fill(Path::rect(-p.width, -p.wall, 2 * p.width, p.wall),
              Paint::linear({0, -p.wall}, {0, 0}, {{0, shade(p.face, 0.9)}, {0.15, p.face}, {1, shade(p.face, 0.92)}}));
  clad(canvas, rng, p, look);
  canvas.fill(Path::rect(-p.width - 0.004, -0.03, 2 * p.width + 0.008, 0.03), Color{0.42, 0.41, 0.4});
  draw_roof(canvas, rng, p, look);
  draw_openings(canvas, rng, p);
  canvas.fill(Path::rect(-p.width, -p.wall, 2 * p.width, 0.03), Color{0, 0, 0, 0.22});  // the eave's shadow
  canvas.pop();
}

}  // namespace dn::synth
