// Labels are placed in order of confidence: each takes the first of a few places around its box where it covers the least of the labels
// already placed. The strongest box is drawn last.
#include "image/draw.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/text.h"

namespace dn {
namespace {

struct Rect {
  double x = 0, y = 0, w = 0, h = 0;
};

double overlap(const Rect& a, const Rect& b) {
  const double w = std::min(a.x + a.w, b.x + b.w) - std::max(a.x, b.x), h = std::min(a.y + a.h, b.y + b.h) - std::max(a.y, b.y);
  return w > 0 && h > 0 ? w * h : 0;
}

struct Style {
  double line, font, pad;
};

// Sizes that read well from thumbnails to posters: they grow with the image, a little slower than it.
Style style_for(int width, int height) {
  const double side = std::sqrt(static_cast<double>(width) * height);
  const double line = std::clamp(side / 260, 1.0, 24.0);
  const double font = std::clamp(3.0 + side * 0.019, 9.0, 160.0);
  return {line, font, std::max(2.0, font * 0.22)};
}

struct Label {
  Rect box, place;
  std::string text;
  TextSize size;
  double font = 0;
  Color color;
};

// The box in pixels, cut to the image; nothing visible: zero size.
Rect visible(const Box& b, int width, int height) {
  const double v[] = {b.x, b.y, b.w, b.h};
  if (!std::all_of(std::begin(v), std::end(v), [](double x) { return std::isfinite(x); }) || b.w <= 0 || b.h <= 0) return {};
  const double x0 = std::clamp((v[0] - v[2] / 2) * width, 0.0, static_cast<double>(width)),
               x1 = std::clamp((v[0] + v[2] / 2) * width, 0.0, static_cast<double>(width));
  const double y0 = std::clamp((v[1] - v[3] / 2) * height, 0.0, static_cast<double>(height));
  const double y1 = std::clamp((v[1] + v[3] / 2) * height, 0.0, static_cast<double>(height));
  if (x1 <= x0 || y1 <= y0) return {};
  return {x0, y0, x1 - x0, y1 - y0};
}

std::string shortened(std::string_view text, size_t characters) {
  size_t at = 0, count = 0;
  for (; at < text.size(); ++at)
    if ((static_cast<unsigned char>(text[at]) & 0xC0) != 0x80 && count++ == characters) break;
  return concat(text.substr(0, at), "…");
}

// Sets text, font and size so that the label fits into the image: a smaller font first (down to 70 %), then a shorter name. The percentage stays.
void fit_text(Label& label, const DrawItem& item, const Style& style, double available) {
  const std::string percent =
      item.confidence >= 0 && std::isfinite(item.confidence) ? concat(fixed(std::min(1.0, static_cast<double>(item.confidence)) * 100, 0), "%") : "";
  const auto with_percent = [&](std::string_view name) {
    return name.empty() ? percent : percent.empty() ? std::string(name) : concat(name, " ", percent);
  };
  label.text = with_percent(item.name.substr(0, 400));
  label.font = style.font;
  label.size = measure_text(label.text, label.font, true);
  if (label.size.width > available) {
    label.font = std::max({style.font * 0.7, 8.0, style.font * available / label.size.width * 0.98});
    label.size = measure_text(label.text, label.font, true);
  }
  for (size_t keep = 60; label.size.width > available && keep > 0; keep = keep * 9 / 10) {
    label.text = with_percent(shortened(item.name, keep));
    label.size = measure_text(label.text, label.font, true);
  }
  if (label.size.width > available) label.text.clear();
}

void place_label(Label& label, const Style& style, int width, int height, std::span<const Label> placed, std::span<const Label> all) {
  const double w = label.size.width + 2 * style.pad, h = label.size.ascent + label.size.descent + style.pad * 0.5, half = style.line / 2;
  const Rect& b = label.box;
  const double left = b.x - half, right = b.x + b.w + half - w, above = b.y - half - h, below = b.y + b.h + half;
  const double inside_top = b.y + half, inside_bottom = b.y + b.h - half - h;
  const std::array<Point, 12> places{{{left, above},
                                      {left, inside_top},
                                      {right, above},
                                      {left, below},
                                      {right, inside_top},
                                      {right, below},
                                      {left, inside_bottom},
                                      {right, inside_bottom},
                                      {b.x + b.w + half, b.y},
                                      {b.x - half - w, b.y},
                                      {b.x + b.w / 2 - w / 2, b.y + b.h / 2 - h / 2},
                                      {b.x + b.w / 2 - w / 2, below + h}}};
  double best = std::numeric_limits<double>::max();
  for (size_t i = 0; i < places.size(); ++i) {
    const Rect place{std::clamp(places[i].x, 0.0, std::max(0.0, width - w)), std::clamp(places[i].y, 0.0, std::max(0.0, height - h)), w, h};
    const double moved = std::abs(place.x - places[i].x) + std::abs(place.y - places[i].y);
    double cost = static_cast<double>(i) * 0.02 + moved / (w + h);
    for (const Label& other : placed) cost += 4 * overlap(place, other.place) / (w * h);
    for (const Label& other : all)  // an own box that the label would fill, or another's, is hidden only a little
      cost += (&other == &label ? 0.3 : 0.25) * overlap(place, other.box) / std::min(w * h, other.box.w * other.box.h);
    if (cost < best) {
      best = cost;
      label.place = place;
    }
  }
}

void draw_box(Canvas& canvas, const Label& label, const Style& style) {
  if (std::min(label.box.w, label.box.h) <= 2 * style.line)  // no room for a frame
    return canvas.fill(Path::rect(label.box.x, label.box.y, label.box.w, label.box.h), label.color);
  const double inset = style.line / 2;
  const Path frame = Path::rect(label.box.x + inset, label.box.y + inset, label.box.w - 2 * inset, label.box.h - 2 * inset);
  const bool dark = luminance(label.color) < 0.25;
  canvas.stroke(frame, dark ? Color{1, 1, 1, 0.45} : Color{0, 0, 0, 0.4}, style.line + std::max(1.0, style.line * 0.6),
                Cap::butt);  // seen on any background
  canvas.stroke(frame, label.color, style.line, Cap::butt);
}

void draw_label(Canvas& canvas, const Label& label, const Style& style) {
  if (label.text.empty()) return;
  canvas.fill(Path::round_rect(label.place.x, label.place.y, label.place.w, label.place.h, style.pad * 0.6), fade(label.color, 0.92));
  const Color ink = luminance(label.color) > 0.3 ? Color{0.05, 0.05, 0.05} : Color{1, 1, 1};
  canvas.text(label.place.x + style.pad, label.place.y + style.pad * 0.25 + label.size.ascent, label.text, label.font, ink, true);
}

}  // namespace

Color class_color(int index) {
  static constexpr std::array<uint32_t, 20> kColors{0xE6194B, 0x3CB44B, 0xFFE119, 0x2F6BFF, 0xF58231, 0x9B30D9, 0x42D4F4,
                                                    0xF032E6, 0xBFEF45, 0xFABED4, 0x0F8B8D, 0xDCBEFF, 0x9A6324, 0xFFFAC8,
                                                    0x800000, 0xAAFFC3, 0x808000, 0xFFD8B1, 0x000075, 0xA9A9A9};
  if (index >= 0 && static_cast<size_t>(index) < kColors.size()) {
    const uint32_t c = kColors[static_cast<size_t>(index)];
    return {(c >> 16) / 255.0, (c >> 8 & 255) / 255.0, (c & 255) / 255.0};
  }
  const double turns = static_cast<double>(index) * 0.6180339887498949;  // the golden angle keeps neighbours apart
  const int ring = (index % 3 + 3) % 3;
  return hsv(turns, ring == 1 ? 0.5 : 0.85, ring == 2 ? 0.6 : 0.95);
}

void draw_detections(Image& image, std::span<const DrawItem> items) {
  if (image.width < 1 || image.height < 1) return;
  const Style style = style_for(image.width, image.height);
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto strength = [&](size_t i) { return std::isnan(items[i].confidence) ? -1.0f : items[i].confidence; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return strength(a) > strength(b); });
  std::vector<Label> labels;
  for (size_t i : order) {
    Label label;
    label.box = visible(items[i].box, image.width, image.height);
    if (label.box.w <= 0) continue;
    label.color = class_color(items[i].color);
    fit_text(label, items[i], style, image.width - 2 * style.pad);
    if (label.size.ascent + label.size.descent > image.height) label.text.clear();
    labels.push_back(std::move(label));
  }
  for (size_t i = 0; i < labels.size(); ++i)
    if (!labels[i].text.empty()) place_label(labels[i], style, image.width, image.height, std::span(labels).first(i), labels);
  Canvas canvas(image);
  for (size_t i = labels.size(); i-- > 0;) draw_box(canvas, labels[i], style);
  for (size_t i = labels.size(); i-- > 0;) draw_label(canvas, labels[i], style);
  image = canvas.image();
}

Image make_contact_sheet(std::span<const Image> images, int columns) {
  if (images.empty()) fail("contact sheet: no images");
  if (columns < 1) fail("contact sheet: columns = ", columns, ": expected at least 1");
  const int across = std::min(columns, static_cast<int>(images.size())), down = (static_cast<int>(images.size()) + across - 1) / across;
  double cell_w = 1, cell_h = 1;
  for (const Image& image : images) {
    cell_w = std::max(cell_w, static_cast<double>(image.width));
    cell_h = std::max(cell_h, static_cast<double>(image.height));
  }
  const double limit = 4096;  // longest side of a sheet
  const double shrink = std::min({1.0, limit / (cell_w * across), limit / (cell_h * down)});
  const int w = std::max(1, static_cast<int>(cell_w * shrink)), h = std::max(1, static_cast<int>(cell_h * shrink));
  const int gutter = std::clamp(std::min(w, h) / 80, 2, 12);
  const int sheet_w = across * w + (across + 1) * gutter, sheet_h = down * h + (down + 1) * gutter;
  if (sheet_w > kMaxImageSide || sheet_h > kMaxImageSide)
    fail("contact sheet of ", images.size(), " images in ", across, " columns: too many for one picture");
  Canvas sheet(sheet_w, sheet_h);
  sheet.fill(Path::rect(0, 0, sheet_w, sheet_h), Color{0.13, 0.14, 0.15});
  for (size_t i = 0; i < images.size(); ++i) {
    const Image& image = images[i];
    if (image.width < 1 || image.height < 1) continue;
    const double scale = std::min(static_cast<double>(w) / image.width, static_cast<double>(h) / image.height);
    const int column = static_cast<int>(i) % across, row = static_cast<int>(i) / across;
    const double x = gutter + column * (w + gutter) + std::floor((w - image.width * scale) / 2);
    const double y = gutter + row * (h + gutter) + std::floor((h - image.height * scale) / 2);
    sheet.push(Affine::translation(x, y) * Affine::scaling(scale, scale));
    sheet.draw(Canvas(image));
    sheet.pop();
  }
  return sheet.image();
}

}  // namespace dn
