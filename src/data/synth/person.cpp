// A person standing, walking, waving or sitting on nothing in particular; about seven heads tall, front or three-quarter view.
#include <algorithm>
#include <array>
#include <cmath>

#include "data/synth/shapes.h"

namespace dn::synth {
namespace {

struct Wear {
  Color skin, hair, top, bottom, shoes;
  int lower = 0;  // 0 trousers, 1 shorts, 2 skirt or dress
  bool long_sleeves = true, coat = false, hat = false, bag = false, long_hair = false;
  double build = 1;  // breadth
};

struct Stance {
  double stride, left_arm, right_arm, left_elbow, right_elbow;  // half distance of the feet; angles from hanging straight down, radians
};

Wear choose_wear(Rng& rng) {
  Wear w;
  w.skin = mix({0.96, 0.80, 0.69}, {0.32, 0.20, 0.14}, rng.uniform());
  w.hair =
      rng.uniform() < 0.75 ? hsv(rng.uniform(0.03, 0.12), rng.uniform(0.2, 0.7), rng.uniform(0.08, 0.6)) : hsv(0.1, 0.05, rng.uniform(0.5, 0.85));
  w.top = any_color(rng), w.bottom = any_color(rng, 0.6), w.shoes = any_color(rng, 0.6);
  w.lower = rng.uniform() < 0.65 ? 0 : rng.uniform() < 0.45 ? 1 : 2;
  w.long_sleeves = rng.uniform() < 0.65;
  w.coat = rng.uniform() < 0.25;
  w.hat = rng.uniform() < 0.22;
  w.bag = rng.uniform() < 0.2;
  w.long_hair = rng.uniform() < 0.4;
  w.build = rng.uniform(0.85, 1.3);
  return w;
}

Stance choose_stance(Rng& rng) {
  Stance s{rng.uniform(0.035, 0.06), rng.uniform(0.08, 0.3), rng.uniform(0.08, 0.3), rng.uniform(0, 0.3), rng.uniform(0, 0.3)};
  const double kind = rng.uniform();
  if (kind < 0.4) {  // walking
    s.stride = rng.uniform(0.08, 0.16);
    s.left_arm = rng.uniform(0.3, 0.6), s.right_arm = rng.uniform(0.3, 0.6);
  } else if (kind < 0.55) {  // an arm up
    s.right_arm = rng.uniform(2.2, 2.9), s.right_elbow = rng.uniform(-0.3, 0.5);
    if (rng.uniform() < 0.35) s.left_arm = rng.uniform(2.2, 2.9);
  } else if (kind < 0.68) {  // hands on the hips
    s.left_arm = 0.65, s.left_elbow = -1.5, s.right_arm = 0.65, s.right_elbow = -1.5;
  }
  return s;
}

struct Limb {
  Point root, joint, end;
};

Limb arm(double side, double angle, double elbow, const Wear& w) {
  const double shoulder = 0.098 * w.build, upper = 0.165, lower = 0.15, y = -0.80;
  const Point root{side * shoulder, y};
  const Point joint{root.x + side * upper * std::sin(angle), y + upper * std::cos(angle)};
  return {root, joint, {joint.x + side * lower * std::sin(angle + elbow), joint.y + lower * std::cos(angle + elbow)}};
}

void draw_arm(Canvas& canvas, const Limb& a, const Wear& w, double tone) {
  const double thick = 0.052 * std::sqrt(w.build);
  canvas.stroke(Path().move(a.root.x, a.root.y).line(a.joint.x, a.joint.y), shade(w.top, tone), thick);
  canvas.stroke(Path().move(a.joint.x, a.joint.y).line(a.end.x, a.end.y), shade(w.long_sleeves || w.coat ? w.top : w.skin, tone), thick * 0.86);
  canvas.fill(Path::ellipse(a.end.x, a.end.y, 0.026, 0.026), shade(w.skin, tone));
}

void draw_leg(Canvas& canvas, Rng& rng, double side, const Stance& s, const Wear& w, double tone) {
  const double hip = 0.045 * w.build, foot = side * s.stride, knee_x = side * hip + (foot - side * hip) * 0.5 + rng.uniform(0, 0.012),
               thick = 0.072 * std::sqrt(w.build);
  const Color lower = shade(w.lower == 0 ? w.bottom : w.skin, tone);
  canvas.stroke(Path().move(knee_x, -0.26).line(foot, -0.04), lower, thick * 0.8);
  canvas.stroke(Path().move(side * hip, -0.48).line(knee_x, -0.26), shade(w.lower == 2 ? w.skin : w.bottom, tone), thick);
  canvas.fill(rounded({{foot - 0.03, 0}, {foot - 0.028, -0.045}, {foot + 0.02, -0.045}, {foot + 0.05, -0.015}, {foot + 0.05, 0}}, 0.012),
              shade(w.shoes, tone));
}

void draw_head(Canvas& canvas, Rng& rng, const Wear& w) {
  const double y = -0.925, turn = rng.uniform(-0.012, 0.012);
  if (w.long_hair) canvas.fill(Path::round_rect(-0.055, y - 0.045, 0.11, 0.14, 0.045), shade(w.hair, 0.8));
  canvas.fill(Path::rect(-0.02, -0.89, 0.04, 0.06), shade(w.skin, 0.82));
  canvas.fill(Path::ellipse(turn, y, 0.049, 0.062), Paint::linear({-0.05, 0}, {0.05, 0}, {{0, w.skin}, {1, shade(w.skin, 0.85)}}));
  canvas.fill(Path()
                  .move(-0.054 + turn, y + 0.005)
                  .curve(-0.065, y - 0.095, 0.065, y - 0.095, 0.054 + turn, y + 0.005)
                  .curve(0.03, y - 0.04, -0.02, y - 0.045, -0.054 + turn, y + 0.005)
                  .close(),
              w.hair);
  const Color dark{0.12, 0.08, 0.07, 0.85};
  canvas.fill(Path::ellipse(turn * 2 - 0.018, y, 0.006, 0.005).add(Path::ellipse(turn * 2 + 0.018, y, 0.006, 0.005)), dark);
  canvas.stroke(Path().move(turn * 2 - 0.014, y + 0.03).line(turn * 2 + 0.014, y + 0.03), Color{0.5, 0.2, 0.18, 0.8}, 0.006);
  if (!w.hat) return;
  const Color felt = any_color(rng);
  canvas.fill(Path::round_rect(-0.052, y - 0.085, 0.104, 0.06, 0.03), felt);
  canvas.fill(Path::ellipse(turn, y - 0.03, 0.075, 0.014), shade(felt, 0.8));
}

void draw_torso(Canvas& canvas, Rng& rng, const Wear& w) {
  const double b = w.build, hem = w.coat ? -0.34 : -0.45;
  const Path torso = rounded({{-0.035, -0.86},
                              {-0.11 * b, -0.825},
                              {-0.085 * b, -0.6},
                              {-0.098 * b, hem},
                              {0.098 * b, hem},
                              {0.085 * b, -0.6},
                              {0.11 * b, -0.825},
                              {0.035, -0.86}},
                             0.04);
  canvas.fill(torso, Paint::linear({-0.11, 0}, {0.11, 0}, {{0, shade(w.top, 1.08)}, {0.6, w.top}, {1, shade(w.top, 0.75)}}));
  canvas.push();
  canvas.clip(torso);
  const double pattern = rng.uniform();
  const Color second = any_color(rng);
  if (pattern < 0.2)
    for (double y = -0.83; y < hem; y += 0.06) canvas.stroke(Path().move(-0.2, y).line(0.2, y), second, 0.025, Cap::butt);
  else if (pattern < 0.35)
    canvas.fill(Path::round_rect(-0.05, -0.76, 0.1, 0.1, 0.02), second);
  else if (w.coat || pattern < 0.5)
    canvas.stroke(Path().move(0, -0.86).line(0, hem), shade(w.top, 0.5), 0.01, Cap::butt);
  canvas.pop();
  if (w.bag) canvas.stroke(Path().move(-0.08 * b, -0.83).line(0.1 * b, -0.5), Color{0.25, 0.17, 0.1}, 0.018);
}

}  // namespace

void draw_person(Canvas& canvas, Rng& rng, const Look&) {
  const Wear w = choose_wear(rng);
  const Stance s = choose_stance(rng);
  const bool pack = w.bag && rng.coin();
  if (pack) canvas.fill(Path::round_rect(-0.15 * w.build, -0.82, 0.16, 0.27, 0.05), any_color(rng));
  draw_arm(canvas, arm(-1, s.left_arm, s.left_elbow, w), w, 0.85);
  draw_leg(canvas, rng, -1, s, w, 0.8);
  draw_leg(canvas, rng, 1, s, w, 1);
  canvas.fill(rounded({{-0.09 * w.build, -0.52}, {0.09 * w.build, -0.52}, {0.092 * w.build, -0.41}, {-0.092 * w.build, -0.41}}, 0.03), w.bottom);
  if (w.lower == 2) {
    const double hem = rng.uniform(-0.32, -0.16), flare = rng.uniform(0.12, 0.19);
    canvas.fill(rounded({{-0.08 * w.build, -0.55}, {0.08 * w.build, -0.55}, {flare, hem}, {-flare, hem}}, 0.03),
                Paint::linear({-flare, 0}, {flare, 0}, {{0, w.bottom}, {1, shade(w.bottom, 0.7)}}));
  }
  draw_torso(canvas, rng, w);
  draw_head(canvas, rng, w);
  draw_arm(canvas, arm(1, s.right_arm, s.right_elbow, w), w, 1.05);
  if (w.bag && !pack) canvas.fill(Path::round_rect(0.07, -0.52, 0.11, 0.1, 0.02), any_color(rng, 0.5));
}

}  // namespace dn::synth
