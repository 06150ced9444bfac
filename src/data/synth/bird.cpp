// Birds from the side, facing right: standing on two legs or flying with raised, lowered or spread wings.
#include <cmath>

#include "data/synth/shapes.h"

namespace dn::synth {
namespace {

struct Plumage {
  Color back, belly, wing, head, beak, leg;
  double plump, neck, tail, beak_length;
};

Plumage choose_plumage(Rng& rng) {
  Plumage p;
  p.back = any_color(rng, 0.7);
  p.belly = rng.uniform() < 0.6 ? mix(p.back, {0.95, 0.92, 0.86}, rng.uniform(0.4, 0.9)) : any_color(rng, 0.7);
  p.wing = shade(p.back, rng.uniform(0.55, 0.85));
  p.head = rng.uniform() < 0.6 ? p.back : any_color(rng, 0.8);
  p.beak = rng.uniform() < 0.6 ? hsv(rng.uniform(0.06, 0.13), 0.8, 0.9) : Color{0.2, 0.2, 0.2};
  p.leg = rng.coin() ? shade(p.beak, 0.85) : Color{0.3, 0.25, 0.22};
  p.plump = rng.uniform(0.13, 0.2);
  p.neck = rng.uniform() < 0.25 ? rng.uniform(0.12, 0.22) : rng.uniform(0, 0.05);
  p.tail = rng.uniform(0.14, 0.26);
  p.beak_length = rng.uniform(0.06, 0.15);
  return p;
}

void draw_head(Canvas& canvas, const Plumage& p, double x, double y, double r) {
  canvas.fill(Path().move(x + r * 0.7, y - r * 0.35).line(x + r + p.beak_length, y + r * 0.15).line(x + r * 0.7, y + r * 0.45).close(), p.beak);
  canvas.fill(Path::ellipse(x, y, r, r * 0.95), Paint::linear({x, y - r}, {x, y + r}, {{0, p.head}, {1, mix(p.head, p.belly, 0.45)}}));
  canvas.fill(Path::ellipse(x + r * 0.35, y - r * 0.2, r * 0.26, r * 0.26), Color{0.95, 0.93, 0.85});
  canvas.fill(Path::ellipse(x + r * 0.4, y - r * 0.2, r * 0.17, r * 0.17), Color{0.04, 0.04, 0.04});
}

// Body with tail and neck; (x, y) is the middle of the trunk. Returns where the head goes.
Point draw_body(Canvas& canvas, const Plumage& p, double x, double y, double tilt) {
  canvas.push(Affine::translation(x, y) * Affine::rotation(tilt));
  const double h = p.plump, l = 0.26;
  canvas.fill(rounded({{-l * 0.7, -h * 0.55}, {-l - p.tail, -h * 0.2}, {-l - p.tail * 0.96, h * 0.25}, {-l * 0.7, h * 0.35}}, 0.02),
              shade(p.wing, 0.85));
  const Point head{l * 0.86 + p.neck * 0.5, -h * 0.75 - p.neck};
  if (p.neck > 0.06) canvas.stroke(Path().move(l * 0.55, -h * 0.2).curve(l, -h * 0.6, l * 0.7, head.y + 0.1, head.x, head.y), p.head, 0.085);
  canvas.fill(
      Path::smooth(
          {{-l * 1.05, -h * 0.1}, {-l * 0.3, -h * 0.95}, {l * 0.55, -h * 0.95}, {l * 1.02, -h * 0.25}, {l * 0.6, h * 0.75}, {-l * 0.25, h * 0.95}}),
      Paint::linear({0, -h}, {0, h}, {{0, p.back}, {0.42, p.back}, {0.7, p.belly}, {1, shade(p.belly, 0.8)}}));
  canvas.pop();
  return (Affine::translation(x, y) * Affine::rotation(tilt))(head);
}

void draw_feathers(Canvas& canvas, const Path& wing, const Plumage& p, Point root, Point tip) {
  canvas.fill(wing, Paint::linear(root, tip, {{0, shade(p.wing, 1.15)}, {0.6, p.wing}, {1, shade(p.wing, 0.55)}}));
  canvas.push();
  canvas.clip(wing);
  for (int i = 1; i < 5; ++i) {
    const double t = i / 5.0;
    canvas.stroke(Path()
                      .move(std::lerp(root.x, tip.x, t * 0.6) - 0.1, root.y + 0.08)
                      .line(std::lerp(root.x, tip.x, 0.4 + t * 0.6), std::lerp(root.y, tip.y, 0.4 + t * 0.6)),
                  fade(shade(p.wing, 0.45), 0.6), 0.01);
  }
  canvas.pop();
}

void draw_standing(Canvas& canvas, Rng& rng, const Plumage& p) {
  const double leg = rng.uniform(0.1, 0.26), y = -leg - p.plump * 0.85, tilt = -rng.uniform(0.0, 0.5);
  for (double x : {-0.02, 0.05}) {
    canvas.stroke(Path().move(x, y + p.plump * 0.6).line(x + 0.015, -0.01), p.leg, 0.02);
    canvas.stroke(Path().move(x - 0.02, -0.008).line(x + 0.07, -0.008), p.leg, 0.016);
  }
  const Point head = draw_body(canvas, p, 0, y, tilt);
  canvas.push(Affine::translation(0, y) * Affine::rotation(tilt));
  const Path wing = Path::smooth({{0.14, -p.plump * 0.5},
                                  {0.02, -p.plump * 0.65},
                                  {-0.2, -p.plump * 0.35},
                                  {-0.36, p.plump * 0.1},
                                  {-0.12, p.plump * 0.35},
                                  {0.1, p.plump * 0.2}});
  draw_feathers(canvas, wing, p, {0.12, -p.plump * 0.3}, {-0.34, p.plump * 0.1});
  canvas.pop();
  draw_head(canvas, p, head.x, head.y, rng.uniform(0.085, 0.11));
}

void draw_flying(Canvas& canvas, Rng& rng, const Plumage& p) {
  const double y = -0.45, tilt = rng.uniform(-0.3, 0.15), up = rng.uniform() < 0.65 ? -1 : 0.85, reach = rng.uniform(0.38, 0.55),
               sweep = rng.uniform(-0.25, 0.15);
  const auto wing = [&](double x, double size) {
    const double ty = y + up * reach * size, tx = x + sweep - 0.1;
    const Path path = Path()
                          .move(x + 0.13, y - 0.02 * up)
                          .curve(x + 0.16, y + up * reach * 0.4 * size, tx + 0.16, ty - up * 0.1, tx, ty)
                          .curve(tx - 0.08, ty - up * 0.2 * size, x - 0.2, y + up * 0.2 * size, x - 0.15, y)
                          .close();
    draw_feathers(canvas, path, p, {x, y}, {tx, ty});
  };
  wing(0.07, 0.85);
  const Point head = draw_body(canvas, p, 0, y, tilt);
  wing(-0.02, 1);
  draw_head(canvas, p, head.x, head.y, rng.uniform(0.075, 0.1));
}

}  // namespace

void draw_bird(Canvas& canvas, Rng& rng, const Look& look) {
  const Plumage p = choose_plumage(rng);
  look.aloft ? draw_flying(canvas, rng, p) : draw_standing(canvas, rng, p);
}

}  // namespace dn::synth
