// Long series are thinned per pixel column before drawing: a line keeps first, lowest, highest and last of each column, points keep an even sample,
// so a chart of 500000 iterations costs and looks like one of 5000.
#include "image/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace dn {
namespace {

constexpr int kWidth = 1000, kHeight = 700;
constexpr double kLeft = 72, kTop = 104, kBottom = 640;
constexpr Color kInk{0.13, 0.15, 0.19}, kGrey{0.45, 0.48, 0.53}, kGrid{0.9, 0.91, 0.93};
constexpr Color kLoss{0.36, 0.60, 0.90}, kAverage{0.05, 0.27, 0.62}, kMap{0.85, 0.27, 0.11}, kRate{0.17, 0.60, 0.35}, kAlarm{0.8, 0.05, 0.1};

struct Scale {  // value -> pixel
  double low, high, from, to;
  double operator()(double v) const { return from + (v - low) / (high - low) * (to - from); }
};

// 1, 2 or 5 times a power of ten, so that about `count` steps cover the range.
double round_step(double range, int count) {
  const double raw = range / count, power = std::pow(10, std::floor(std::log10(raw))), lead = raw / power;
  return power * (lead <= 1.0001 ? 1 : lead <= 2.0001 ? 2 : lead <= 5.0001 ? 5 : 10);
}

int digits_for(double step) { return std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9); }

std::string count_text(double value, double step) {
  if (value >= 1e6 && step >= 1e4) return concat(fixed(value / 1e6, digits_for(step / 1e6)), "M");
  if (value >= 1e4 && step >= 100) return concat(fixed(value / 1e3, digits_for(step / 1e3)), "k");
  return fixed(value, digits_for(step));
}

// Four significant digits or so: 123.4, 12.34, 0.5321, 0.00120.
std::string short_number(double v) {
  if (!std::isfinite(v)) return std::isnan(v) ? "nan" : "inf";
  const double a = std::abs(v);
  if (a >= 1e7 || (a > 0 && a < 1e-4)) {
    const int power = static_cast<int>(std::floor(std::log10(a)));
    return concat(fixed(v / std::pow(10, power), 2), "e", power);
  }
  return fixed(v, a >= 1000 ? 0 : a >= 100 ? 1 : a >= 10 ? 2 : a >= 0.1 || a == 0 ? 3 : 5);
}

std::vector<Point> finite_points(const std::vector<Point>& series) {
  std::vector<Point> out;
  out.reserve(series.size());
  for (const Point& p : series)
    if (std::isfinite(p.x) && std::isfinite(p.y)) out.push_back(p);
  const auto earlier = [](const Point& a, const Point& b) { return a.x < b.x; };
  if (!std::is_sorted(out.begin(), out.end(), earlier)) std::stable_sort(out.begin(), out.end(), earlier);
  return out;
}

template <class Take>
void for_columns(const std::vector<Point>& series, const Scale& x, const Take& take) {
  for (size_t first = 0; first < series.size();) {
    size_t last = first;
    while (last + 1 < series.size() && std::floor(x(series[last + 1].x)) == std::floor(x(series[first].x))) ++last;
    take(first, last);
    first = last + 1;
  }
}

std::vector<Point> thinned_line(const std::vector<Point>& series, const Scale& x) {
  std::vector<Point> out;
  for_columns(series, x, [&](size_t first, size_t last) {
    const auto begin = series.begin() + static_cast<long>(first), end = series.begin() + static_cast<long>(last) + 1;
    const auto [low, high] = std::minmax_element(begin, end, [](const Point& a, const Point& b) { return a.y < b.y; });
    std::vector<size_t> keep{first, static_cast<size_t>(low - series.begin()), static_cast<size_t>(high - series.begin()), last};
    std::sort(keep.begin(), keep.end());
    keep.erase(std::unique(keep.begin(), keep.end()), keep.end());
    for (size_t i : keep) out.push_back(series[i]);
  });
  return out;
}

std::vector<Point> thinned_points(const std::vector<Point>& series, const Scale& x) {
  constexpr size_t kPerColumn = 6;
  std::vector<Point> out;
  for_columns(series, x, [&](size_t first, size_t last) {
    const size_t count = last - first + 1, kept = std::min(count, kPerColumn);
    for (size_t k = 0; k < kept; ++k) out.push_back(series[first + k * count / kept]);
  });
  return out;
}

// The first tenth, where an untrained network's loss towers, does not set the scale.
double automatic_top(const std::vector<Point>& loss, const std::vector<Point>& average) {
  double top = 0;
  for (size_t i = average.size() / 10; i < average.size(); ++i) top = std::max(top, average[i].y * 1.15);
  std::vector<double> values;
  for (size_t i = loss.size() / 10; i < loss.size(); ++i) values.push_back(loss[i].y);
  if (!values.empty()) {
    const size_t rank = (values.size() - 1) * 95 / 100;
    std::nth_element(values.begin(), values.begin() + static_cast<long>(rank), values.end());
    top = std::max(top, values[rank] * 1.1);
  }
  if (!(top > 0) || !std::isfinite(top)) return 1;
  const double step = round_step(top, 8);
  return std::ceil(top / step - 1e-9) * step;
}

void text_at(Canvas& canvas, double x, double y, double align, std::string_view text, double size, const Color& color, bool bold = false) {
  canvas.text(x - measure_text(text, size, bold).width * align, y, text, size, color, bold);
}

// The series as they are drawn, and the axes.
struct Plot {
  std::vector<Point> loss, average, map, rate;
  Scale x, y, percent;
  double right;
};

Plot make_plot(const ChartData& data) {
  Plot p{finite_points(data.loss), finite_points(data.average_loss), finite_points(data.map), finite_points(data.learning_rate), {}, {}, {}, 0};
  double end = data.max_iterations;
  if (!(end > 0))
    for (const auto* series : {&p.loss, &p.average, &p.map, &p.rate})
      if (!series->empty()) end = std::max(end, series->back().x);
  if (!(end > 0)) end = 100;
  const double top = std::isfinite(data.max_loss) && data.max_loss > 0 ? data.max_loss : automatic_top(p.loss, p.average);
  p.right = kWidth - (p.map.empty() ? 36 : 72);
  p.x = {0, end, kLeft, p.right};
  p.y = {0, top, kBottom, kTop};
  p.percent = {0, 1, kBottom, kTop};
  return p;
}

void draw_axes(Canvas& canvas, const Plot& p) {
  const double y_step = round_step(p.y.high, 8);
  for (double v = 0; v <= p.y.high * 1.0001; v += y_step) {
    const double y = std::round(p.y(v)) + 0.5;
    canvas.stroke(Path().move(kLeft, y).line(p.right, y), kGrid, 1, Cap::butt);
    text_at(canvas, kLeft - 9, y + 4.5, 1, fixed(v, digits_for(y_step)), 13, kGrey);
  }
  const double x_step = std::max(1.0, round_step(p.x.high, 9));
  for (double v = 0; v <= p.x.high * 1.0001; v += x_step) {
    const double x = std::round(p.x(v)) + 0.5;
    canvas.stroke(Path().move(x, kTop).line(x, kBottom), kGrid, 1, Cap::butt);
    text_at(canvas, x, kBottom + 20, 0.5, count_text(v, x_step), 13, kGrey);
  }
  if (!p.map.empty())
    for (int v = 0; v <= 100; v += 10) {
      const double y = std::round(p.percent(v / 100.0)) + 0.5;
      canvas.stroke(Path().move(p.right, y).line(p.right + 5, y), kMap, 1, Cap::butt);
      canvas.text(p.right + 9, y + 4.5, concat(v), 13, kMap);
    }
  canvas.stroke(Path().move(kLeft, kTop).line(kLeft, kBottom + 0.5).line(p.right, kBottom + 0.5), kGrey, 1.2, Cap::butt);
  if (!p.map.empty()) canvas.stroke(Path().move(p.right, kTop).line(p.right, kBottom), kMap, 1.2, Cap::butt);
  text_at(canvas, (kLeft + p.right) / 2, kHeight - 17, 0.5, "iteration", 14, kInk);
  const auto upright = [&](double x, std::string_view text, const Color& color) {
    canvas.push(Affine::translation(x, (kTop + kBottom) / 2) * Affine::rotation(-1.5707963267948966));
    text_at(canvas, 0, 0, 0.5, text, 14, color);
    canvas.pop();
  };
  upright(20, "loss", kAverage);
  if (!p.map.empty()) upright(kWidth - 12, "mAP, %", kMap);
}

void draw_losses(Canvas& canvas, const Plot& p) {
  canvas.push();
  canvas.clip(Path::rect(kLeft - 4, kTop - 1, p.right - kLeft + 8, kBottom - kTop + 5));
  const std::vector<Point> points = thinned_points(p.loss, p.x);
  Path dots;
  const double radius = points.size() > 1500 ? 1.2 : points.size() > 300 ? 1.7 : points.size() > 5 ? 2.3 : 3.5;
  for (const Point& q : points) dots.add(Path::ellipse(p.x(q.x), p.y(q.y), radius, radius));
  canvas.fill(dots, fade(kLoss, points.size() > 1500 ? 0.45 : 0.6));
  const auto line = [&](const std::vector<Point>& series, const Scale& y, const Color& color, double width) {
    std::vector<Point> out;
    for (const Point& q : thinned_line(series, p.x)) out.push_back({p.x(q.x), std::clamp(y(q.y), kTop - 40, kBottom)});
    if (out.size() == 1) return canvas.fill(Path::ellipse(out[0].x, out[0].y, width * 1.4, width * 1.4), color);
    if (!out.empty()) canvas.stroke(Path::open(out), color, width);
  };
  double peak = 0;
  for (const Point& q : p.rate) peak = std::max(peak, q.y);
  if (peak > 0) line(p.rate, {0, peak, kBottom, kBottom - (kBottom - kTop) * 0.25}, fade(kRate, 0.8), 1.4);
  line(p.average, p.y, kAverage, 2.4);
  canvas.pop();
}

struct Mark {
  double x, y, w, h;
};

// A value beside its marker, on a white ground, inside the plot and not over `taken`.
void draw_value(Canvas& canvas, const Plot& p, const Point& at, const std::string& text, std::vector<Mark>& taken) {
  const TextSize size = measure_text(text, 13, true);
  const double w = size.width + 8, h = 18, cx = p.x(at.x), cy = p.percent(at.y);
  Mark best{};
  double best_cost = std::numeric_limits<double>::max();
  for (const Point& offset : {Point{-w / 2, -h - 9}, Point{-w / 2, 9}, Point{-w - 10, -h / 2}, Point{10, -h / 2}, Point{-w / 2, -2 * h - 12},
                              Point{-w / 2, h + 12}, Point{-w, -h - 12}, Point{0, -h - 12}, Point{0, 12}}) {
    const Mark mark{std::clamp(cx + offset.x, kLeft + 3, p.right - w - 3), std::clamp(cy + offset.y, kTop + 3, kBottom - h - 3), w, h};
    double cost = std::abs(mark.x - cx - offset.x) * 0.05 + std::abs(mark.y - cy - offset.y);
    for (const Mark& other : taken)
      cost += 10 * std::max(0.0, std::min(mark.x + w, other.x + other.w) - std::max(mark.x, other.x)) *
              std::max(0.0, std::min(mark.y + h, other.y + other.h) - std::max(mark.y, other.y));
    if (cost < best_cost) best = mark, best_cost = cost;
  }
  taken.push_back(best);
  canvas.fill(Path::round_rect(best.x, best.y, best.w, best.h, 4), Color{1, 1, 1, 0.88});
  canvas.stroke(Path::round_rect(best.x, best.y, best.w, best.h, 4), fade(kMap, 0.5), 1);
  canvas.text(best.x + 4, best.y + 13.5, text, 13, kMap, true);
}

size_t best_index(const std::vector<Point>& map) {
  return static_cast<size_t>(std::max_element(map.begin(), map.end(), [](const Point& a, const Point& b) { return a.y < b.y; }) - map.begin());
}

void draw_map(Canvas& canvas, const Plot& p) {
  if (p.map.empty()) return;
  std::vector<Point> line;
  for (const Point& q : thinned_line(p.map, p.x)) line.push_back({p.x(q.x), p.percent(std::clamp(q.y, 0.0, 1.0))});
  canvas.stroke(Path::open(line), kMap, 2);
  if (line.size() <= 120)
    for (const Point& q : line) {
      canvas.fill(Path::ellipse(q.x, q.y, 4, 4), Color{1, 1, 1});
      canvas.stroke(Path::ellipse(q.x, q.y, 4, 4), kMap, 1.8);
    }
  const Point best = p.map[best_index(p.map)], last = p.map.back();
  std::vector<Mark> taken;
  for (const Point& q : line) taken.push_back({q.x - 5, q.y - 5, 10, 10});  // a value hides no marker where that can be avoided
  for (const Point& q : {best, last}) canvas.fill(Path::ellipse(p.x(q.x), p.percent(std::clamp(q.y, 0.0, 1.0)), 5, 5), kMap);
  const std::string percent = concat(fixed(best.y * 100, 1), " %");
  if (best.x == last.x) return draw_value(canvas, p, best, concat("best ", percent), taken);
  draw_value(canvas, p, last, concat(fixed(last.y * 100, 1), " %"), taken);
  draw_value(canvas, p, best, concat("best ", percent), taken);
}

void draw_heading(Canvas& canvas, const ChartData& data, const Plot& p) {
  std::string title = data.title;
  while (!title.empty() && measure_text(title, 21, true).width > kWidth - kLeft - 36) title.resize(title.size() * 9 / 10);
  if (title.size() < data.title.size()) title += "…";
  canvas.text(kLeft, 36, title, 21, kInk, true);

  std::vector<std::pair<std::string, Color>> parts;
  double now = 0;
  for (const auto* series : {&data.loss, &data.average_loss})
    if (!series->empty() && std::isfinite(series->back().x)) now = std::max(now, series->back().x);
  if (now > 0) parts.push_back({concat("iteration ", fixed(now, 0), data.max_iterations > 0 ? concat(" of ", data.max_iterations) : ""), kInk});
  if (!data.average_loss.empty()) {
    const double average = data.average_loss.back().y;
    parts.push_back({concat("average loss ", short_number(average)), std::isfinite(average) ? kAverage : kAlarm});
  }
  if (!data.loss.empty() && !std::isfinite(data.loss.back().y)) parts.push_back({concat("loss is ", short_number(data.loss.back().y)), kAlarm});
  if (!p.map.empty()) {
    const Point best = p.map[best_index(p.map)];
    parts.push_back({concat("mAP ", fixed(p.map.back().y * 100, 1), " %, best ", fixed(best.y * 100, 1), " % at ", fixed(best.x, 0)), kMap});
  }
  double x = kLeft;
  for (const auto& [text, color] : parts) {
    canvas.text(x, 61, text, 15, color, true);
    x += measure_text(text, 15, true).width + 26;
  }
}

void draw_legend(Canvas& canvas, const Plot& p) {
  double x = kLeft;
  const auto entry = [&](const std::string& text, const Color& color, bool dot, bool marker) {
    if (dot) {
      canvas.fill(Path::ellipse(x + 11, 82, 3, 3), color);
    } else {
      canvas.stroke(Path().move(x, 82).line(x + 22, 82), color, 2.4);
      if (marker) canvas.fill(Path::ellipse(x + 11, 82, 4, 4), color);
    }
    canvas.text(x + 29, 86.5, text, 13, kInk);
    x += 29 + measure_text(text, 13).width + 24;
  };
  if (!p.loss.empty()) entry("loss of one iteration", kLoss, true, false);
  if (!p.average.empty()) entry("average loss", kAverage, false, false);
  if (!p.map.empty()) entry("mAP (right axis)", kMap, false, true);
  if (!p.rate.empty()) entry(concat("learning rate, now ", short_number(p.rate.back().y)), kRate, false, false);
}

}  // namespace

Image render_chart(const ChartData& data) {
  const Plot plot = make_plot(data);
  Canvas canvas(kWidth, kHeight);
  canvas.fill(Path::rect(0, 0, kWidth, kHeight), Color{1, 1, 1});
  draw_axes(canvas, plot);
  draw_losses(canvas, plot);
  draw_map(canvas, plot);
  draw_heading(canvas, data, plot);
  draw_legend(canvas, plot);
  if (plot.loss.empty() && plot.average.empty() && plot.map.empty())
    text_at(canvas, (kLeft + plot.right) / 2, (kTop + kBottom) / 2, 0.5, "no data yet", 20, kGrey);
  return canvas.image();
}

void draw_chart(const fs::path& path, const ChartData& data) { save_image(path, render_chart(data)); }

}  // namespace dn
