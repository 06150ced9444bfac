// Canvas over Cairo's image surfaces. The only file that includes Cairo.
#include "image/canvas.h"

#include <cairo.h>

#include <cmath>
#include <cstring>
#include <string>

#include "base/error.h"

namespace dn {
namespace {

struct SurfaceFree {
  void operator()(cairo_surface_t* s) const { cairo_surface_destroy(s); }
};
struct ContextFree {
  void operator()(cairo_t* c) const { cairo_destroy(c); }
};
struct PatternFree {
  void operator()(cairo_pattern_t* p) const { cairo_pattern_destroy(p); }
};
using Surface = std::unique_ptr<cairo_surface_t, SurfaceFree>;
using Context = std::unique_ptr<cairo_t, ContextFree>;
using Pattern = std::unique_ptr<cairo_pattern_t, PatternFree>;

Surface make_surface(int width, int height) {
  if (width < 1 || height < 1 || width > kMaxImageSide || height > kMaxImageSide)
    fail("drawing surface ", width, "x", height, ": expected sides of 1..", kMaxImageSide);
  Surface surface(cairo_image_surface_create(CAIRO_FORMAT_ARGB32, width, height));
  if (cairo_surface_status(surface.get()) != CAIRO_STATUS_SUCCESS)
    fail("drawing surface ", width, "x", height, ": ", cairo_status_to_string(cairo_surface_status(surface.get())));
  return surface;
}

void put_path(cairo_t* cr, const Path& path) {
  cairo_new_path(cr);
  for (const Path::Piece& p : path.pieces()) switch (p.kind) {
      case Path::Kind::move: cairo_move_to(cr, p.a.x, p.a.y); break;
      case Path::Kind::line: cairo_line_to(cr, p.a.x, p.a.y); break;
      case Path::Kind::curve: cairo_curve_to(cr, p.a.x, p.a.y, p.b.x, p.b.y, p.c.x, p.c.y); break;
      case Path::Kind::close: cairo_close_path(cr); break;
    }
}

void set_color(cairo_t* cr, const Color& c) { cairo_set_source_rgba(cr, c.r, c.g, c.b, c.a); }

void set_paint(cairo_t* cr, const Paint& paint) {
  if (paint.kind == Paint::Kind::solid) return set_color(cr, paint.stops.front().color);
  const Pattern pattern(paint.kind == Paint::Kind::linear
                            ? cairo_pattern_create_linear(paint.from.x, paint.from.y, paint.to.x, paint.to.y)
                            : cairo_pattern_create_radial(paint.from.x, paint.from.y, 0, paint.from.x, paint.from.y, paint.to.x));
  for (const Stop& s : paint.stops) cairo_pattern_add_color_stop_rgba(pattern.get(), s.at, s.color.r, s.color.g, s.color.b, s.color.a);
  cairo_set_source(cr, pattern.get());
}

// Length of the valid UTF-8 character at the front (1..4), or 0. Refuses overlong forms, surrogates and values above U+10FFFF.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const unsigned second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  return length;
}

// Cairo refuses invalid UTF-8 for good (the context stays in error); control characters have no shape.
std::string drawable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0 || static_cast<unsigned char>(text[0]) < 0x20 || text[0] == 0x7F)
      out += length == 0 ? '?' : ' ';
    else
      out += text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

void select_font(cairo_t* cr, double size, bool bold) {
  cairo_select_font_face(cr, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL, bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cr, size);
}

// A font failure would leave a context in error for all later drawing, so it is tried once on a surface of its own.
bool fonts_work() {
  static const bool works = [] {
    const Surface surface = make_surface(8, 8);
    const Context cr(cairo_create(surface.get()));
    select_font(cr.get(), 6, false);
    cairo_move_to(cr.get(), 1, 6);
    cairo_show_text(cr.get(), "a");
    return cairo_status(cr.get()) == CAIRO_STATUS_SUCCESS;
  }();
  return works;
}

}  // namespace

struct Canvas::Impl {
  Surface surface;
  Context cr;
  int width, height;
  Impl(int w, int h) : surface(make_surface(w, h)), cr(cairo_create(surface.get())), width(w), height(h) {}
};

Canvas::Canvas(int width, int height) : impl_(std::make_unique<Impl>(width, height)) {}

Canvas::Canvas(const Image& image) : Canvas(image.width, image.height) {
  ensure(image.channels == 1 || image.channels == 3, "a canvas takes grey or RGB");
  ensure(image.pixels.size() == image.row() * static_cast<size_t>(image.height), "pixels do not match the image's size");
  const std::span<uint32_t> to = pixels();
  const uint8_t* from = image.pixels.data();
  for (uint32_t& pixel : to) {
    const uint32_t r = from[0], g = image.channels == 3 ? from[1] : r, b = image.channels == 3 ? from[2] : r;
    pixel = 0xFF000000u | r << 16 | g << 8 | b;
    from += image.channels;
  }
}

Canvas::~Canvas() = default;
Canvas::Canvas(Canvas&&) noexcept = default;
Canvas& Canvas::operator=(Canvas&&) noexcept = default;

int Canvas::width() const { return impl_->width; }
int Canvas::height() const { return impl_->height; }

void Canvas::push(const Affine& t) {
  cairo_save(impl_->cr.get());
  const cairo_matrix_t matrix{t.xx, t.yx, t.xy, t.yy, t.x0, t.y0};
  cairo_transform(impl_->cr.get(), &matrix);
}

void Canvas::pop() { cairo_restore(impl_->cr.get()); }

void Canvas::clip(const Path& path) {
  put_path(impl_->cr.get(), path);
  cairo_clip(impl_->cr.get());
}

void Canvas::blend(Blend mode) {
  cairo_set_operator(impl_->cr.get(), mode == Blend::over   ? CAIRO_OPERATOR_OVER
                                      : mode == Blend::atop ? CAIRO_OPERATOR_ATOP
                                                            : CAIRO_OPERATOR_DEST_OUT);
}

void Canvas::fill(const Path& path, const Paint& paint) {
  put_path(impl_->cr.get(), path);
  set_paint(impl_->cr.get(), paint);
  cairo_fill(impl_->cr.get());
}

void Canvas::stroke(const Path& path, const Paint& paint, double width, Cap cap) {
  cairo_t* cr = impl_->cr.get();
  put_path(cr, path);
  set_paint(cr, paint);
  cairo_set_line_width(cr, width);
  cairo_set_line_cap(cr, cap == Cap::round ? CAIRO_LINE_CAP_ROUND : CAIRO_LINE_CAP_BUTT);
  cairo_set_line_join(cr, cap == Cap::round ? CAIRO_LINE_JOIN_ROUND : CAIRO_LINE_JOIN_MITER);
  cairo_stroke(cr);
}

void Canvas::draw(const Canvas& layer, double alpha) {
  cairo_t* cr = impl_->cr.get();
  cairo_set_source_surface(cr, layer.impl_->surface.get(), 0, 0);
  cairo_pattern_set_filter(cairo_get_source(cr), CAIRO_FILTER_GOOD);
  alpha >= 1 ? cairo_paint(cr) : cairo_paint_with_alpha(cr, alpha);
}

void Canvas::draw_mask(const Canvas& layer, const Color& color) {
  set_color(impl_->cr.get(), color);
  cairo_mask_surface(impl_->cr.get(), layer.impl_->surface.get(), 0, 0);
}

void Canvas::text(double x, double y, std::string_view text, double size, const Color& color, bool bold) {
  if (!fonts_work() || !(size > 0)) return;
  cairo_t* cr = impl_->cr.get();
  select_font(cr, size, bold);
  set_color(cr, color);
  cairo_move_to(cr, x, y);
  cairo_show_text(cr, drawable(text).c_str());
  cairo_new_path(cr);
}

std::span<uint32_t> Canvas::pixels() {
  cairo_surface_t* surface = impl_->surface.get();
  cairo_surface_flush(surface);
  ensure(cairo_image_surface_get_stride(surface) == impl_->width * 4, "rows of 32-bit pixels carry no padding");
  cairo_surface_mark_dirty(surface);
  return {reinterpret_cast<uint32_t*>(cairo_image_surface_get_data(surface)), static_cast<size_t>(impl_->width) * static_cast<size_t>(impl_->height)};
}

Image Canvas::image() const {
  ensure(cairo_status(impl_->cr.get()) == CAIRO_STATUS_SUCCESS, cairo_status_to_string(cairo_status(impl_->cr.get())));
  cairo_surface_t* surface = impl_->surface.get();
  cairo_surface_flush(surface);
  Image out{impl_->width, impl_->height, 3, {}};
  const size_t count = static_cast<size_t>(impl_->width) * static_cast<size_t>(impl_->height);
  out.pixels.resize(count * 3);
  const unsigned char* from = cairo_image_surface_get_data(surface);
  for (size_t i = 0; i < count; ++i) {
    uint32_t pixel;
    std::memcpy(&pixel, from + i * 4, 4);
    out.pixels[i * 3] = static_cast<uint8_t>(pixel >> 16);
    out.pixels[i * 3 + 1] = static_cast<uint8_t>(pixel >> 8);
    out.pixels[i * 3 + 2] = static_cast<uint8_t>(pixel);
  }
  return out;
}

TextSize measure_text(std::string_view text, double size, bool bold) {
  if (!fonts_work() || !(size > 0)) return {};
  thread_local const Surface surface = make_surface(1, 1);
  const Context cr(cairo_create(surface.get()));
  select_font(cr.get(), size, bold);
  cairo_font_extents_t font;
  cairo_text_extents_t extents;
  cairo_font_extents(cr.get(), &font);
  cairo_text_extents(cr.get(), drawable(text).c_str(), &extents);
  return {extents.x_advance, font.ascent, font.descent};
}

}  // namespace dn
