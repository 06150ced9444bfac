#include "data/mosaic.h"

#include <algorithm>

namespace dn {
namespace {

constexpr double kLeastShare = .2;

int draw_cut(int side, Rng& rng) {
  const int least = static_cast<int>(side * kLeastShare), most = static_cast<int>(side * (1 - kLeastShare));
  return least + static_cast<int>(rng.below(static_cast<uint32_t>(most - least + 1)));
}

bool is_left(int tile) { return tile % 2 == 0; }
bool is_top(int tile) { return tile < 2; }

// One axis of a tile. `first`: it lies before the cut. `before`, `after`: how far the window reaches beyond the picture's `side` there, in its pixels.
struct Span {
  int at = 0, length = 0, from = 0;
};
Span tile_span(bool first, int cut, int extent, int before, int after, int side) {
  const auto pixels = [&](int beyond) { return static_cast<int>(static_cast<int64_t>(std::max(0, beyond)) * extent / side); };
  if (first) return {0, cut, extent - cut - std::min(extent - cut, pixels(after))};
  return {cut, extent - cut, std::min(cut, pixels(before))};
}

}  // namespace

MosaicCut draw_mosaic_cut(int width, int height, Rng& rng) {
  const int x = draw_cut(width, rng);
  return {x, draw_cut(height, rng)};
}

Window moved_to_corner(Window window, int tile, bool flip, int image_width, int image_height) {
  window.left = is_left(tile) != flip ? 0 : image_width - window.width;
  window.top = is_top(tile) ? 0 : image_height - window.height;
  return window;
}

MosaicTile mosaic_tile(int tile, const MosaicCut& cut, const Window& window, bool flip, int image_width, int image_height, int width, int height) {
  int before = -window.left, after = window.left + window.width - image_width;
  if (flip) std::swap(before, after);
  const Span x = tile_span(is_left(tile), cut.x, width, before, after, image_width);
  const Span y = tile_span(is_top(tile), cut.y, height, -window.top, window.top + window.height - image_height, image_height);
  return {x.at, y.at, x.length, y.length, x.from, y.from};
}

std::vector<TruthBox> mosaic_boxes(const std::vector<TruthBox>& boxes, const MosaicTile& tile, bool bound, int width, int height) {
  std::vector<TruthBox> kept;
  for (const TruthBox& truth : boxes) {
    const double cx = static_cast<double>(truth.box.x) * width + tile.x - tile.from_x,
                 cy = static_cast<double>(truth.box.y) * height + tile.y - tile.from_y;
    const double w = static_cast<double>(truth.box.w) * width, h = static_cast<double>(truth.box.h) * height;
    const auto cut = [](double value, int from, int length) {
      return std::clamp(value, static_cast<double>(from), static_cast<double>(from + length));
    };
    double left = cut(cx - w / 2, tile.x, tile.width), right = cut(cx + w / 2, tile.x, tile.width);
    double top = cut(cy - h / 2, tile.y, tile.height), bottom = cut(cy + h / 2, tile.y, tile.height);
    if (!(right - left >= 1 && bottom - top >= 1)) continue;
    if (!bound) {
      left = cut(cx - w / 2, 0, width), right = cut(cx + w / 2, 0, width);
      top = cut(cy - h / 2, 0, height), bottom = cut(cy + h / 2, 0, height);
    }
    TruthBox& box = kept.emplace_back(truth);
    box.box = {static_cast<float>((left + right) / 2 / width), static_cast<float>((top + bottom) / 2 / height),
               static_cast<float>((right - left) / width), static_cast<float>((bottom - top) / height)};
  }
  return kept;
}

}  // namespace dn
