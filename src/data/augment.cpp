// See augment.h.
#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "config/net_spec.h"

namespace dn {
namespace {

constexpr int kMixupCutmix = 2, kMixupMosaic = 3, kMixupBoth = 4;  // values of the key `mixup`, the family's codes
constexpr int kStrongestNoise = 127;
constexpr int kObjectToBlur = 8;  // an object is at least so many times as large as a blur

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

Mix mix_of(const NetSpec& net) {
  const bool cutmix = net.cutmix || net.mixup == kMixupCutmix || net.mixup == kMixupBoth;
  const bool mosaic = net.mosaic || net.mixup == kMixupMosaic || net.mixup == kMixupBoth;
  const auto at = [&](std::string_view key) {
    const Entry* entry = net.section.find(key);
    return entry ? net.section.where(*entry) : net.section.where();
  };
  if (mosaic) {
    if (cutmix) log::warn(concat(at(net.cutmix ? "cutmix" : "mixup"), ": cutmix is for classifiers, it has no boxes: mosaic alone is done"));
    if (net.mixup == 1) log::warn(concat(at("mixup"), ": mosaic takes its place, as in the family"));
    return Mix::mosaic;
  }
  if (cutmix)
    fail(at(net.cutmix ? "cutmix" : "mixup"),
         ": cutmix mixes the classes of whole pictures and knows no boxes: it is for classifiers only; expected mosaic = 1 or mixup = 1 for a "
         "detector");
  return net.mixup == 1 ? Mix::mixup : Mix::none;
}

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
  how.blur = net.blur;
  how.noise = std::min(net.gaussian_noise, kStrongestNoise);
  how.mix = mix_of(net);
  how.mosaic_bound = net.mosaic_bound;
  return how;
}

std::string summary(const Augmentation& how) {
  std::string text;
  const auto real = [](double value) { return static_cast<float>(value); };  // without the digits that a float does not have
  const auto add = [&](bool active, const auto&... parts) {
    if (active) text += concat(text.empty() ? "" : ", ", parts...);
  };
  add(how.mix == Mix::mosaic, "mosaic of every second sample");
  add(how.mix == Mix::mixup, "mixup of every second sample");
  add(how.jitter != 0, "jitter ", real(how.jitter));
  add(how.resize != 1, "resize ", real(how.resize));
  add(how.flip, "flip");
  add(how.hue != 0, "hue ", real(how.hue));
  add(how.saturation != 1, "saturation ", real(how.saturation));
  add(how.exposure != 1, "exposure ", real(how.exposure));
  add(how.blur > 1, "blur ", how.blur);
  add(how.blur == 1, "background blur");
  add(how.noise > 0, "noise ", how.noise);
  add(how.letter_box, "letterboxed");
  return text.empty() ? "none" : text;
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
  const int kinds[] = {0, 1, how.blur};
  draw.blur = kinds[rng.below(3)];
  if (how.blur == 0) draw.blur = 0;
  draw.noise = rng.coin() && how.noise > 0;
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

std::vector<TruthBox> augmented_boxes(const std::vector<TruthBox>& boxes, const Window& window, bool flip, int image_width, int image_height,
                                      int net_width, int net_height) {
  std::vector<TruthBox> kept;
  const auto x_of = [&](double x) { return std::clamp((x * image_width - window.left) / window.width, 0.0, 1.0); };
  const auto y_of = [&](double y) { return std::clamp((y * image_height - window.top) / window.height, 0.0, 1.0); };
  for (const TruthBox& truth : boxes) {
    const double cx = static_cast<double>(truth.box.x), cy = static_cast<double>(truth.box.y);
    const double w = static_cast<double>(truth.box.w), h = static_cast<double>(truth.box.h);
    double left = x_of(cx - w / 2), right = x_of(cx + w / 2);
    const double top = y_of(cy - h / 2), bottom = y_of(cy + h / 2);
    if (flip) std::tie(left, right) = std::pair(1 - right, 1 - left);
    if (!((right - left) * net_width >= 1 && (bottom - top) * net_height >= 1)) continue;
    kept.emplace_back(truth).box = {static_cast<float>((left + right) / 2), static_cast<float>((top + bottom) / 2), static_cast<float>(right - left),
                                    static_cast<float>(bottom - top)};
  }
  return kept;
}

void choose_boxes(std::vector<TruthBox>& boxes, int most, Rng& rng) {
  for (size_t i = boxes.size(); i > 1; --i) std::swap(boxes[i - 1], boxes[rng.below(static_cast<uint32_t>(i))]);
  if (boxes.size() > static_cast<size_t>(std::max(most, 0))) boxes.resize(static_cast<size_t>(std::max(most, 0)));
}

int bearable_blur(int blur, const std::vector<TruthBox>& boxes, int net_width, int net_height) {
  if (blur <= 1) return blur;
  for (const TruthBox& truth : boxes) {
    const double shorter = std::min(static_cast<double>(truth.box.w) * net_width, static_cast<double>(truth.box.h) * net_height);
    blur = std::min(blur, static_cast<int>(shorter / kObjectToBlur));
  }
  return blur;
}

int decode_shrink(const Window& window, int net_width, int net_height) {
  return window.width >= 2 * net_width && window.height >= 2 * net_height ? 2 : 1;
}

}  // namespace dn
