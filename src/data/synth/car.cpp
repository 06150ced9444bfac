// A car from the side, facing right: sedan, hatchback, van, off-roader or pickup.
#include <array>
#include <cmath>
#include <numbers>

#include "data/synth/shapes.h"

namespace dn::synth {
namespace {

struct Body {
  double wheel, bottom, belt, roof, hood;   // radius; heights as negative y
  double rear, rear_top, front_top, front;  // x of rear window's foot and head, windscreen's head and foot
  bool bed = false;                         // open bed behind the cabin
};

Body choose_body(Rng& rng) {
  Body b;
  b.wheel = rng.uniform(0.068, 0.09);
  b.belt = -rng.uniform(0.205, 0.235);
  b.hood = b.belt + rng.uniform(0.005, 0.03);
  const auto set = [&](double rear, double rear_top, double front_top, double front, double roof) {
    const auto j = [&] { return rng.uniform(-0.02, 0.02); };
    b.rear = rear + j(), b.rear_top = rear_top + j(), b.front_top = front_top + j(), b.front = front + j(), b.roof = -roof - j();
  };
  switch (rng.below(5)) {
    case 0: set(-0.36, -0.22, 0.06, 0.21, 0.345); break;                                          // sedan
    case 1: set(-0.48, -0.40, 0.06, 0.22, 0.375); break;                                          // hatchback
    case 2: set(-0.485, -0.47, 0.18, 0.34, 0.47), b.belt -= 0.03, b.hood = b.belt + 0.03; break;  // van
    case 3: set(-0.485, -0.455, 0.08, 0.17, 0.43), b.belt -= 0.02, b.wheel += 0.012; break;       // off-roader
    default: set(-0.10, -0.085, 0.10, 0.22, 0.40), b.belt -= 0.01, b.wheel += 0.008, b.bed = true; break;
  }
  b.bottom = -b.wheel * rng.uniform(0.65, 0.9);
  return b;
}

void draw_wheel(Canvas& canvas, Rng& rng, double x, double r, const Color& rim) {
  canvas.fill(Path::ellipse(x, -r, r * 1.16, r * 1.16), Color{0.05, 0.05, 0.06});
  canvas.fill(Path::ellipse(x, -r, r, r), Color{0.10, 0.10, 0.11});
  canvas.fill(Path::ellipse(x, -r, r * 0.62, r * 0.62), rim);
  const int spokes = 5 + static_cast<int>(rng.below(3));
  const double turn = rng.uniform(0, 2);
  for (int i = 0; i < spokes; ++i) {
    const double angle = turn + i * 2 * std::numbers::pi / spokes;
    canvas.stroke(Path()
                      .move(x + r * .18 * std::cos(angle), -r + r * .18 * std::sin(angle))
                      .line(x + r * .52 * std::cos(angle), -r + r * .52 * std::sin(angle)),
                  Color{0.15, 0.15, 0.16}, r * 0.13);
  }
  canvas.fill(Path::ellipse(x, -r, r * 0.14, r * 0.14), shade(rim, 0.6));
}

void draw_windows(Canvas& canvas, Rng& rng, const Body& b, const Color& paint) {
  const double top = b.roof + 0.022, foot = b.belt - 0.004, inset = 0.022;
  const auto along = [&](double low, double high, double y) { return std::lerp(low, high, (y - b.belt) / (b.roof - b.belt)); };
  const Color glass = hsv(rng.uniform(0.52, 0.62), rng.uniform(0.1, 0.35), rng.uniform(0.2, 0.5));
  const Path pane = rounded({{along(b.rear, b.rear_top, foot) + inset, foot},
                             {along(b.rear, b.rear_top, top) + inset, top},
                             {along(b.front, b.front_top, top) - inset, top},
                             {along(b.front, b.front_top, foot) - inset, foot}},
                            0.012);
  canvas.fill(pane, Paint::linear({0, b.roof}, {0, b.belt}, {{0, mix(glass, {0.9, 0.95, 1}, 0.55)}, {0.55, glass}, {1, shade(glass, 0.6)}}));
  canvas.push();
  canvas.clip(pane);
  if (rng.coin()) canvas.fill(Path::polygon({{-0.1, b.roof}, {0.0, b.roof}, {-0.08, b.belt}, {-0.18, b.belt}}), Color{1, 1, 1, 0.22});
  const double length = b.front - b.rear;
  const int pillars = b.bed ? 0 : length > 0.62 ? 2 : 1;
  for (int i = 1; i <= pillars; ++i) {
    const double x = b.rear + length * (pillars == 1 ? 0.52 : 0.3 * i + 0.02);
    canvas.stroke(Path().move(x, b.roof).line(x + 0.01, b.belt), shade(paint, 0.75), 0.018, Cap::butt);
  }
  if (rng.uniform() < 0.5) canvas.fill(Path::ellipse(b.front - length * 0.34, b.belt - 0.035, 0.03, 0.04), Color{0.15, 0.12, 0.1, 0.8});  // a driver
  canvas.pop();
}

void draw_details(Canvas& canvas, Rng& rng, const Body& b, const Color& paint) {
  const Color line = shade(paint, 0.55);
  const double door = b.bed ? 0.02 : (b.rear + b.front) / 2 + 0.03;
  canvas.stroke(Path().move(door, b.belt).line(door, b.bottom - 0.02), line, 0.006, Cap::butt);
  if (!b.bed) canvas.stroke(Path().move(b.rear + 0.16, b.belt).line(b.rear + 0.17, b.bottom - 0.04), line, 0.006, Cap::butt);
  canvas.stroke(Path().move(b.front - 0.02, b.belt).line(b.front - 0.03, b.bottom - 0.02), line, 0.006, Cap::butt);
  for (double x : {door - 0.06, door + 0.12}) canvas.stroke(Path().move(x, b.belt + 0.025).line(x + 0.03, b.belt + 0.025), shade(paint, 0.4), 0.009);
  canvas.fill(rounded({{0.43, b.hood + 0.035}, {0.487, b.hood + 0.045}, {0.49, b.hood + 0.075}, {0.445, b.hood + 0.07}}, 0.01),
              Color{0.97, 0.95, 0.82});
  canvas.fill(rounded({{-0.49, b.belt + 0.02}, {-0.465, b.belt + 0.02}, {-0.462, b.belt + 0.07}, {-0.49, b.belt + 0.07}}, 0.006),
              Color{0.75, 0.08, 0.06});
  const Color trim = rng.coin() ? shade(paint, 0.6) : Color{0.12, 0.12, 0.13};
  canvas.fill(Path::rect(-0.5, b.bottom - 0.03, 1.0, 0.03), trim);
  if (rng.uniform() < 0.25) canvas.stroke(Path().move(-0.47, b.belt + 0.06).line(0.46, b.belt + 0.065), any_color(rng), 0.018, Cap::butt);
  canvas.fill(rounded({{b.front - 0.055, b.belt - 0.03}, {b.front - 0.02, b.belt - 0.03}, {b.front - 0.02, b.belt}, {b.front - 0.05, b.belt}}, 0.008),
              trim);
  if (rng.uniform() < 0.2 && !b.bed) {
    canvas.stroke(Path().move(b.rear_top + 0.05, b.roof - 0.018).line(b.front_top - 0.05, b.roof - 0.018), Color{0.2, 0.2, 0.2}, 0.012);
    if (rng.coin()) canvas.fill(Path::round_rect(b.rear_top + 0.08, b.roof - 0.07, 0.3, 0.05, 0.01), any_color(rng));
  }
}

}  // namespace

void draw_car(Canvas& canvas, Rng& rng, const Look&) {
  const Body b = choose_body(rng);
  const Color paint = any_color(rng);
  const double nose = 0.5, tail = -0.495, rear_wheel = -0.30 + rng.uniform(-0.02, 0.02), front_wheel = 0.31 + rng.uniform(-0.02, 0.02);
  canvas.fill(Path::rect(-0.42, b.bottom - 0.02, 0.84, 0.03 - b.bottom * 0.3), Color{0.06, 0.06, 0.07, 0.9});  // the dark below
  const Path body = rounded({{tail, b.bottom},
                             {tail - 0.004, b.belt * 0.75},
                             {tail + 0.012, b.belt},
                             {b.rear, b.belt},
                             {b.rear_top, b.roof},
                             {b.front_top, b.roof},
                             {b.front, b.belt},
                             {nose - 0.05, b.hood},
                             {nose, b.hood + 0.05},
                             {nose, b.bottom - 0.02},
                             {nose - 0.02, b.bottom}},
                            0.03);
  canvas.fill(
      body,
      Paint::linear({0, b.roof}, {0, b.bottom},
                    {{0, mix(paint, {1, 1, 1}, 0.25)}, {0.45, paint}, {0.5, mix(paint, {1, 1, 1}, 0.18)}, {0.62, paint}, {1, shade(paint, 0.5)}}));
  draw_windows(canvas, rng, b, paint);
  if (b.bed) canvas.fill(Path::rect(tail + 0.02, b.belt - 0.004, b.rear - tail - 0.04, 0.018), shade(paint, 0.35));
  draw_details(canvas, rng, b, paint);
  const Color rim = hsv(0.6, 0.05, rng.uniform(0.35, 0.85));
  draw_wheel(canvas, rng, rear_wheel, b.wheel, rim);
  draw_wheel(canvas, rng, front_wheel, b.wheel, rim);
}

}  // namespace dn::synth
