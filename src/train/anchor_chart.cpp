#include "train/anchor_chart.h"

#include <algorithm>

#include "base/text.h"
#include "image/canvas.h"

namespace dn {
namespace {

constexpr int kWidth = 900, kHeight = 760;
constexpr double kLeft = 70, kTop = 60, kRight = 870, kBottom = 700;
constexpr size_t kMostPoints = 50000;
constexpr Color kInk{0.13, 0.15, 0.19}, kGrid{0.9, 0.91, 0.93};

Color colour_of(size_t anchor, size_t anchors) { return hsv(static_cast<double>(anchor) / static_cast<double>(anchors), .75, .8); }

size_t nearest(double w, double h, const std::vector<Anchor>& anchors) {
  size_t best = 0;
  double best_overlap = -1;
  for (size_t k = 0; k < anchors.size(); ++k) {
    const double aw = static_cast<double>(anchors[k].w), ah = static_cast<double>(anchors[k].h), shared = std::min(w, aw) * std::min(h, ah);
    const double overlap = shared / (w * h + aw * ah - shared);
    if (overlap > best_overlap) best_overlap = overlap, best = k;
  }
  return best;
}

void draw_axes(Canvas& canvas, const AnchorOptions& options) {
  canvas.fill(Path::rect(0, 0, kWidth, kHeight), Color{1, 1, 1});
  for (int i = 0; i <= 8; ++i) {
    const double x = kLeft + (kRight - kLeft) * i / 8, y = kBottom - (kBottom - kTop) * i / 8;
    canvas.stroke(Path().move(x, kTop).line(x, kBottom), kGrid, 1);
    canvas.stroke(Path().move(kLeft, y).line(kRight, y), kGrid, 1);
    canvas.text(x - 12, kBottom + 20, fixed(options.width * i / 8.0, 0), 13, kInk);
    canvas.text(kLeft - 40, y + 5, fixed(options.height * i / 8.0, 0), 13, kInk);
  }
  canvas.text(kLeft, kBottom + 44, "width of the box in the network's input, height upwards", 14, kInk);
}

}  // namespace

Image anchor_chart(std::span<const TruthBox> labels, const AnchorResult& result, const AnchorOptions& options) {
  Canvas canvas(kWidth, kHeight);
  draw_axes(canvas, options);
  const auto x = [&](double w) { return kLeft + (kRight - kLeft) * w / options.width; };
  const auto y = [&](double h) { return kBottom - (kBottom - kTop) * h / options.height; };
  canvas.text(kLeft, 36, concat(result.anchors.size(), " anchors of ", result.boxes, " boxes, average IoU ", fixed(100 * result.mean_iou, 2), " %"),
              18, kInk, true);
  const size_t step = std::max<size_t>(1, labels.size() / kMostPoints);
  for (size_t i = 0; i < labels.size(); i += step) {
    const Box& box = labels[i].box;
    if (!(box.w > 0 && box.h > 0 && box.w <= 1 && box.h <= 1)) continue;
    const double w = static_cast<double>(box.w) * options.width, h = static_cast<double>(box.h) * options.height;
    canvas.fill(Path::rect(x(w) - 1, y(h) - 1, 2, 2), fade(colour_of(nearest(w, h, result.anchors), result.anchors.size()), .5));
  }
  for (size_t k = 0; k < result.anchors.size(); ++k) {
    const double w = static_cast<double>(result.anchors[k].w), h = static_cast<double>(result.anchors[k].h);
    const Color colour = colour_of(k, result.anchors.size());
    canvas.stroke(Path::rect(x(0), y(h), x(w) - x(0), y(0) - y(h)), fade(colour, .7), 1.5);
    canvas.fill(Path::ellipse(x(w), y(h), 6, 6), kInk);
    canvas.fill(Path::ellipse(x(w), y(h), 4.5, 4.5), colour);
    canvas.text(x(w) + 9, y(h) - 4, concat(fixed(w, options.width <= 32 ? 1 : 0), " x ", fixed(h, options.width <= 32 ? 1 : 0)), 13, kInk);
  }
  return canvas.image();
}

}  // namespace dn
