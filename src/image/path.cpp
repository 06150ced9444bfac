// The pure half of canvas.h: colours, transformations, paths.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "image/canvas.h"

namespace dn {

Color mix(const Color& from, const Color& to, double t) {
  return {std::lerp(from.r, to.r, t), std::lerp(from.g, to.g, t), std::lerp(from.b, to.b, t), std::lerp(from.a, to.a, t)};
}

Color shade(const Color& color, double factor) {
  return {std::clamp(color.r * factor, 0.0, 1.0), std::clamp(color.g * factor, 0.0, 1.0), std::clamp(color.b * factor, 0.0, 1.0), color.a};
}

Color fade(const Color& color, double alpha) { return {color.r, color.g, color.b, color.a * alpha}; }

Color hsv(double hue, double saturation, double value) {
  const double sector = (hue - std::floor(hue)) * 6;
  const auto channel = [&](double shift) {
    const double k = std::fmod(shift + sector, 6.0);
    return value - value * saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0);
  };
  return {channel(5), channel(3), channel(1)};
}

double luminance(const Color& color) {
  const auto linear = [](double v) { return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4); };
  return 0.2126 * linear(color.r) + 0.7152 * linear(color.g) + 0.0722 * linear(color.b);
}

Affine Affine::rotation(double radians) {
  const double c = std::cos(radians), s = std::sin(radians);
  return {c, s, -s, c, 0, 0};
}

Affine operator*(const Affine& a, const Affine& b) {
  return {a.xx * b.xx + a.xy * b.yx, a.yx * b.xx + a.yy * b.yx,        a.xx * b.xy + a.xy * b.yy,
          a.yx * b.xy + a.yy * b.yy, a.xx * b.x0 + a.xy * b.y0 + a.x0, a.yx * b.x0 + a.yy * b.y0 + a.y0};
}

Path& Path::move(double x, double y) {
  pieces_.push_back({Kind::move, {x, y}, {}, {}});
  return *this;
}

Path& Path::line(double x, double y) {
  pieces_.push_back({Kind::line, {x, y}, {}, {}});
  return *this;
}

Path& Path::curve(double ax, double ay, double bx, double by, double x, double y) {
  pieces_.push_back({Kind::curve, {ax, ay}, {bx, by}, {x, y}});
  return *this;
}

Path& Path::close() {
  pieces_.push_back({Kind::close, {}, {}, {}});
  return *this;
}

Path& Path::add(const Path& other) {
  pieces_.insert(pieces_.end(), other.pieces_.begin(), other.pieces_.end());
  return *this;
}

Path Path::rect(double x, double y, double w, double h) { return polygon({{x, y}, {x + w, y}, {x + w, y + h}, {x, y + h}}); }

namespace {
constexpr double kQuarter = 0.5522847498307936;  // control distance of a quarter circle of radius 1 drawn as one Bezier curve
}

Path Path::round_rect(double x, double y, double w, double h, double radius) {
  const double r = std::max(0.0, std::min({radius, w / 2, h / 2})), k = r * (1 - kQuarter);
  Path path;
  path.move(x + r, y).line(x + w - r, y).curve(x + w - k, y, x + w, y + k, x + w, y + r);
  path.line(x + w, y + h - r).curve(x + w, y + h - k, x + w - k, y + h, x + w - r, y + h);
  path.line(x + r, y + h).curve(x + k, y + h, x, y + h - k, x, y + h - r);
  path.line(x, y + r).curve(x, y + k, x + k, y, x + r, y);
  return path.close();
}

Path Path::ellipse(double cx, double cy, double rx, double ry, double radians) {
  const Affine place = Affine::translation(cx, cy) * Affine::rotation(radians) * Affine::scaling(rx, ry);
  Path path;
  const Point start = place({1, 0});
  path.move(start.x, start.y);
  for (int quarter = 0; quarter < 4; ++quarter) {
    const Affine turned = place * Affine::rotation(quarter * std::numbers::pi / 2);
    const Point a = turned({1, kQuarter}), b = turned({kQuarter, 1}), c = turned({0, 1});
    path.curve(a.x, a.y, b.x, b.y, c.x, c.y);
  }
  return path.close();
}

Path Path::open(std::span<const Point> points) {
  Path path;
  for (size_t i = 0; i < points.size(); ++i) i == 0 ? path.move(points[i].x, points[i].y) : path.line(points[i].x, points[i].y);
  return path;
}

Path Path::polygon(std::span<const Point> points) {
  Path path = open(points);
  return points.empty() ? path : path.close();
}

Path Path::smooth(std::span<const Point> points) {
  const size_t count = points.size();
  if (count < 3) return polygon(points);
  Path path;
  path.move(points[0].x, points[0].y);
  for (size_t i = 0; i < count; ++i) {
    const Point &before = points[(i + count - 1) % count], &from = points[i], &to = points[(i + 1) % count], &after = points[(i + 2) % count];
    path.curve(from.x + (to.x - before.x) / 6, from.y + (to.y - before.y) / 6, to.x - (after.x - from.x) / 6, to.y - (after.y - from.y) / 6, to.x,
               to.y);
  }
  return path.close();
}

}  // namespace dn
