// What the shapes share.
#include "data/synth/shapes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace dn::synth {

Path rounded(std::span<const Point> corners, double radius) {
  Path path;
  const size_t count = corners.size();
  for (size_t i = 0; i < count; ++i) {
    const Point &before = corners[(i + count - 1) % count], &at = corners[i], &after = corners[(i + 1) % count];
    const auto toward = [&](const Point& to) {
      const double length = std::hypot(to.x - at.x, to.y - at.y), t = length > 0 ? std::min(radius / length, 0.5) : 0;
      return Point{std::lerp(at.x, to.x, t), std::lerp(at.y, to.y, t)};
    };
    const Point in = toward(before), out = toward(after);
    i == 0 ? path.move(in.x, in.y) : path.line(in.x, in.y);
    path.curve(std::lerp(in.x, at.x, .6), std::lerp(in.y, at.y, .6), std::lerp(out.x, at.x, .6), std::lerp(out.y, at.y, .6), out.x, out.y);
  }
  return path.close();
}

Path rounded(std::initializer_list<Point> corners, double radius) { return rounded(std::span(corners.begin(), corners.size()), radius); }

Color any_color(Rng& rng, double most_saturation) {
  const double kind = rng.uniform();
  if (kind < 0.14) return hsv(0.1, rng.uniform(0, 0.06), rng.uniform(0.8, 0.97));
  if (kind < 0.26) return hsv(0.6, rng.uniform(0, 0.15), rng.uniform(0.08, 0.25));
  if (kind < 0.40) return hsv(rng.uniform(), rng.uniform(0, 0.1), rng.uniform(0.35, 0.7));
  return hsv(rng.uniform(), rng.uniform(0.3, most_saturation), rng.uniform(0.25, 0.9));
}

void blob(Canvas& canvas, Rng& rng, double x, double y, double rx, double ry, const Color& color, double roughness) {
  std::array<Point, 11> points;
  const double turn = rng.uniform(0, 2 * std::numbers::pi);
  for (size_t i = 0; i < points.size(); ++i) {
    const double angle = turn + static_cast<double>(i) * 2 * std::numbers::pi / static_cast<double>(points.size()),
                 r = 1 + rng.uniform(-roughness, roughness);
    points[i] = {x + rx * r * std::cos(angle), y + ry * r * std::sin(angle)};
  }
  canvas.fill(Path::smooth(points), color);
}

void draw_kind(Kind kind, Canvas& canvas, Rng& rng, const Look& look) {
  switch (kind) {
    case Kind::car: return draw_car(canvas, rng, look);
    case Kind::house: return draw_house(canvas, rng, look);
    case Kind::tree: return draw_tree(canvas, rng, look);
    case Kind::person: return draw_person(canvas, rng, look);
    case Kind::bird: return draw_bird(canvas, rng, look);
    case Kind::ball: return draw_ball(canvas, rng, look);
    case Kind::count: break;
  }
  ensure(false, "a kind of thing");
}

}  // namespace dn::synth
