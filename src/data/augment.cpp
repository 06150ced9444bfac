// See augment.h.
#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "config/net_spec.h"

namespace dn {
namespace {

// Uniform in [1, scale] (or [scale, 1]), inverted half of the time. Always two draws.
double random_scale(double scale, Rng& rng) {
  const double value = rng.uniform(std::min(1.0, scale), std::max(1.0, scale));
  return rng.coin() ? value : 1.0 / value;
}

struct Margins {
  int before = 0, after = 0;  // pixels cut from the side's start and end; negative: the window reaches outside
};

// Margins of one axis from the jitter and resize draws.
Margins axis_margins(const Augmentation& how, int side, double jitter_before, double jitter_after, double resize_before, double resize_after) {
  const int reach = static_cast<int>(side * how.jitter);
  const auto jitter = [&](double draw) { return static_cast<int>(-reach + 2.0 * reach * draw); };
  Margins margins{jitter(jitter_before), jitter(jitter_after)};
  if (how.resize != 1) {
    const double down = std::min(how.resize, 1 / how.resize), up = 1 / down;
    const int outwards = static_cast<int>(side * (1 - 1 / down) / 2);
    const int inwards = how.resize < 1 ? 0 : static_cast<int>(side * (1 - 1 / up) / 2);
    margins.before += static_cast<int>(outwards + (inwards - outwards) * resize_before);
    margins.after += static_cast<int>(outwards + (inwards - outwards) * resize_after);
  }
  return margins;
}

// Widens the window on one axis to `extent` pixels, symmetrically around what it shows.
void widen(Margins& margins, int side, double extent) {
  const double half = (extent - side) / 2;
  margins.before = static_cast<int>(std::floor(margins.before - half));
  margins.after = static_cast<int>(std::floor(margins.after - half));
}

}  // namespace

Augmentation make_augmentation(const NetSpec& net, double jitter, double resize, int max_truths) {
  Augmentation how;
  how.jitter = jitter;
  how.resize = resize;
  how.flip = net.flip;
  how.hue = net.hue;
  how.saturation = net.saturation;
  how.exposure = net.exposure;
  how.letter_box = net.letter_box;
  how.max_truths = max_truths;
  return how;
}

Draw draw_augmentation(const Augmentation& how, Rng& rng) {
  Draw draw;
  draw.resize_left_top = rng.uniform();
  draw.resize_right_bottom = rng.uniform();
  draw.left = rng.uniform();
  draw.right = rng.uniform();
  draw.top = rng.uniform();
  draw.bottom = rng.uniform();
  draw.flip = rng.coin() && how.flip;
  draw.distortion.hue = static_cast<float>(rng.uniform(-how.hue, how.hue));
  draw.distortion.saturation = static_cast<float>(random_scale(how.saturation, rng));
  draw.distortion.exposure = static_cast<float>(random_scale(how.exposure, rng));
  return draw;
}

Window augmented_window(const Augmentation& how, const Draw& draw, int image_width, int image_height, int net_width, int net_height) {
  ensure(how.resize > 0, "resize is positive");
  Margins x = axis_margins(how, image_width, draw.left, draw.right, draw.resize_left_top, draw.resize_right_bottom);
  Margins y = axis_margins(how, image_height, draw.top, draw.bottom, draw.resize_left_top, draw.resize_right_bottom);
  // Large jitter may leave nothing: then the whole image is shown.
  if (image_width - x.before - x.after < 1 || image_height - y.before - y.after < 1) x = y = {};
  if (how.letter_box) {
    const double image_aspect = static_cast<double>(image_width) / image_height, net_aspect = static_cast<double>(net_width) / net_height;
    if (image_aspect > net_aspect)
      widen(y, image_height, image_width / net_aspect);
    else
      widen(x, image_width, image_height * net_aspect);
  }
  return {x.before, y.before, image_width - x.before - x.after, image_height - y.before - y.after};
}

std::vector<TruthBox> augmented_boxes(std::vector<TruthBox> boxes, const Augmentation& how, const Window& window, bool flip, int image_width,
                                      int image_height, int net_width, int net_height, Rng& rng) {
  for (size_t i = boxes.size(); i > 1; --i) std::swap(boxes[i - 1], boxes[rng.below(static_cast<uint32_t>(i))]);
  std::vector<TruthBox> kept;
  const auto x_of = [&](double x) { return std::clamp((x * image_width - window.left) / window.width, 0.0, 1.0); };
  const auto y_of = [&](double y) { return std::clamp((y * image_height - window.top) / window.height, 0.0, 1.0); };
  for (const TruthBox& truth : boxes) {
    if (kept.size() >= static_cast<size_t>(std::max(how.max_truths, 0))) break;
    const double cx = static_cast<double>(truth.box.x), cy = static_cast<double>(truth.box.y);
    const double w = static_cast<double>(truth.box.w), h = static_cast<double>(truth.box.h);
    double left = x_of(cx - w / 2), right = x_of(cx + w / 2);
    const double top = y_of(cy - h / 2), bottom = y_of(cy + h / 2);
    if (flip) std::tie(left, right) = std::pair(1 - right, 1 - left);
    if (!((right - left) * net_width >= 1 && (bottom - top) * net_height >= 1)) continue;
    kept.push_back({{static_cast<float>((left + right) / 2), static_cast<float>((top + bottom) / 2), static_cast<float>(right - left),
                     static_cast<float>(bottom - top)},
                    truth.class_id});
  }
  return kept;
}

int decode_shrink(const Window& window, int net_width, int net_height) {
  return window.width >= 2 * net_width && window.height >= 2 * net_height ? 2 : 1;
}

}  // namespace dn
