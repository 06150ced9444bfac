// A drawing surface: paths, gradients, layers and text on 8-bit RGBA pixels. Charts, labelled pictures and the synthetic scenes draw through it,
// so the drawing library stays behind canvas.cpp. Coordinates are pixels, x to the right, y down; push() nests a transformation.
// A Canvas belongs to one thread at a time; different canvases may be used from different threads.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "image/image.h"

namespace dn {

struct Point {
  double x = 0, y = 0;
};

struct Color {  // 0..1, not premultiplied
  double r = 0, g = 0, b = 0, a = 1;
};
Color mix(const Color& from, const Color& to, double t);
Color shade(const Color& color, double factor);          // brighter above 1, darker below; alpha stays
Color fade(const Color& color, double alpha);            // the same colour with alpha multiplied
Color hsv(double hue, double saturation, double value);  // hue in turns, any real number
double luminance(const Color& color);                    // relative luminance of sRGB values (WCAG 2)

// x' = xx x + xy y + x0, y' = yx x + yy y + y0; a * b applies b first.
struct Affine {
  double xx = 1, yx = 0, xy = 0, yy = 1, x0 = 0, y0 = 0;
  static Affine translation(double x, double y) { return {1, 0, 0, 1, x, y}; }
  static Affine scaling(double x, double y) { return {x, 0, 0, y, 0, 0}; }
  static Affine rotation(double radians);
  Point operator()(const Point& p) const { return {xx * p.x + xy * p.y + x0, yx * p.x + yy * p.y + y0}; }
};
Affine operator*(const Affine& a, const Affine& b);

class Path {
 public:
  enum class Kind : uint8_t { move, line, curve, close };
  struct Piece {
    Kind kind;
    Point a, b, c;  // the end point is `a` for move and line, `c` for curve
  };
  Path& move(double x, double y);
  Path& line(double x, double y);
  Path& curve(double ax, double ay, double bx, double by, double x, double y);
  Path& close();
  Path& add(const Path& other);

  static Path rect(double x, double y, double w, double h);
  static Path round_rect(double x, double y, double w, double h, double radius);
  static Path ellipse(double cx, double cy, double rx, double ry, double radians = 0);
  static Path open(std::span<const Point> points);
  static Path polygon(std::span<const Point> points);
  static Path polygon(std::initializer_list<Point> points) { return polygon(std::span(points.begin(), points.size())); }
  static Path smooth(std::span<const Point> points);  // closed Catmull-Rom curve through the points
  static Path smooth(std::initializer_list<Point> points) { return smooth(std::span(points.begin(), points.size())); }

  std::span<const Piece> pieces() const { return pieces_; }

 private:
  std::vector<Piece> pieces_;
};

struct Stop {
  double at;
  Color color;
};

// A colour, or a gradient between two points or two circles around one centre. Gradient points are in the canvas's current coordinates.
struct Paint {
  enum class Kind : uint8_t { solid, linear, radial };
  Kind kind = Kind::solid;
  Point from, to;  // radial: centre, (radius, unused)
  std::vector<Stop> stops;
  Paint(const Color& color) : stops{{0, color}} {}
  static Paint linear(Point from, Point to, std::initializer_list<Stop> stops) { return Paint(Kind::linear, from, to, stops); }
  static Paint radial(Point centre, double radius, std::initializer_list<Stop> stops) { return Paint(Kind::radial, centre, {radius, 0}, stops); }

 private:
  Paint(Kind k, Point f, Point t, std::initializer_list<Stop> s) : kind(k), from(f), to(t), stops(s) {}
};

enum class Cap : uint8_t { butt, round };
enum class Blend : uint8_t { over, atop, erase };  // atop: only where something is drawn already

struct TextSize {
  double width = 0, ascent = 0, descent = 0;
};

class Canvas {
 public:
  Canvas(int width, int height);        // transparent. Error when the sides are out of 1..16384
  explicit Canvas(const Image& image);  // opaque copy of a grey or RGB image
  ~Canvas();
  Canvas(Canvas&&) noexcept;
  Canvas& operator=(Canvas&&) noexcept;

  int width() const;
  int height() const;
  void push(const Affine& transform = {});  // saves transformation, clip and blend mode
  void pop();
  void clip(const Path& path);
  void blend(Blend mode);
  void fill(const Path& path, const Paint& paint);
  void stroke(const Path& path, const Paint& paint, double width, Cap cap = Cap::round);
  void draw(const Canvas& layer, double alpha = 1);         // the layer's pixel (0,0) at the origin; scaled with a good filter
  void draw_mask(const Canvas& layer, const Color& color);  // only the layer's shape, in one colour
  // Text with its baseline's left end at (x, y). Bytes that are no UTF-8 are shown as '?'. Without any usable font nothing is drawn.
  void text(double x, double y, std::string_view text, double size, const Color& color, bool bold = false);

  std::span<uint32_t> pixels();  // [H,W] premultiplied 0xAARRGGBB; what is written here is seen by later drawing
  Image image() const;           // RGB over black

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

TextSize measure_text(std::string_view text, double size, bool bold = false);  // zeros when there is no usable font

}  // namespace dn
