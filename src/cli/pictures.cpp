// visualize CFG [WEIGHTS]: the filters of a convolution as a picture. imtest IMAGE: what sampling and augmentation make of an image, on one sheet.
#include <algorithm>
#include <cmath>
#include <utility>

#include "base/log.h"
#include "base/rng.h"
#include "cli/common.h"
#include "data/augment.h"
#include "image/draw.h"
#include "train/weights_file.h"

namespace dn::cli {
namespace {

constexpr int kTileSide = 64, kGutter = 2;     // pixels
constexpr size_t kMostTiles = 4096;

// The planes of one filter, [planes, side, side], as one tile: three of them in colour, one in gray, stretched to the filter's own range.
Image filter_tile(std::span<const float> filter, int planes, int side) {
  const auto [least, most] = std::ranges::minmax(filter);
  const double range = most > least ? static_cast<double>(most) - static_cast<double>(least) : 1;
  const int enlarge = std::max(1, kTileSide / side), pixels = side * enlarge;
  Image tile{pixels, pixels, 3, std::vector<uint8_t>(static_cast<size_t>(pixels) * static_cast<size_t>(pixels) * 3)};
  for (int y = 0; y < pixels; ++y)
    for (int x = 0; x < pixels; ++x)
      for (int c = 0; c < 3; ++c) {
        const int plane = planes == 3 ? c : 0;
        const float value = filter[static_cast<size_t>((plane * side + y / enlarge) * side + x / enlarge)];
        const double level = 255 * (static_cast<double>(value) - static_cast<double>(least)) / range;
        tile.pixels[static_cast<size_t>(y) * tile.row() + static_cast<size_t>(x * 3 + c)] = static_cast<uint8_t>(std::lround(level));
      }
  return tile;
}

// Tiles of one size beside each other, unscaled, on gray.
Image grid(const std::vector<Image>& tiles, int columns) {
  const int cell = tiles.front().width + kGutter, rows = (static_cast<int>(tiles.size()) + columns - 1) / columns;
  Image sheet{columns * cell + kGutter, rows * cell + kGutter, 3, {}};
  if (sheet.width > kMaxImageSide || sheet.height > kMaxImageSide) fail("a picture of ", sheet.width, " x ", sheet.height, " is too large");
  sheet.pixels.assign(sheet.row() * static_cast<size_t>(sheet.height), 128);
  for (size_t i = 0; i < tiles.size(); ++i) {
    const int left = kGutter + static_cast<int>(i) % columns * cell, top = kGutter + static_cast<int>(i) / columns * cell;
    for (int y = 0; y < tiles[i].height; ++y)
      std::copy_n(tiles[i].pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(y) * tiles[i].row()), tiles[i].row(),
                  sheet.pixels.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(top + y) * sheet.row() + static_cast<size_t>(left * 3)));
  }
  return sheet;
}

// Layer `wanted`, or the first convolution for a negative one: its weights.
const ParamSegment& filters_of(const Network& network, int64_t wanted) {
  for (const ParamSegment& segment : network.params().segments()) {
    const bool filters = segment.spec.name == "weights" && segment.spec.shape.size() == 4;
    if (filters && (wanted < 0 || segment.layer == wanted)) return segment;
  }
  fail(network.file(), wanted < 0 ? "" : concat(": layer ", wanted), ": no convolution whose filters could be shown");
}

Image resampled(const Image& image, const Sampling& sampling, int width, int height) {
  PixelFloats planes(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  sample_image(image, sampling, planar(planes.data(), width, height));
  Image out{width, height, 3, std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3)};
  const size_t plane = static_cast<size_t>(width) * static_cast<size_t>(height);
  for (size_t i = 0; i < plane; ++i)
    for (size_t c = 0; c < 3; ++c)
      out.pixels[i * 3 + c] = static_cast<uint8_t>(std::lround(255 * std::clamp(static_cast<double>(planes.data()[c * plane + i]), 0., 1.)));
  return out;
}

}  // namespace

int visualize(const Arguments& arguments) {
  const fs::path out = arguments.text("out");
  const auto wanted = arguments.integer("layer", -1, 1'000'000);
  Network network = Network::from_cfg(arguments.positional[0]);
  network.params().initialize(1);
  if (arguments.positional.size() > 1) load_weights(network, arguments.positional[1]);
  const ParamSegment& weights = filters_of(network, wanted);
  const auto values = std::as_const(network).params().values(weights);
  const size_t planes = weights.spec.shape[1], side = weights.spec.shape[2], plane = side * side;
  const size_t rows = weights.spec.shape[0], per_filter = planes == 3 ? 1 : planes;   // tiles
  const size_t shown = planes == 3 ? 3 * plane : plane;
  std::vector<Image> tiles;
  for (size_t i = 0; i < std::min(rows * per_filter, kMostTiles); ++i)
    tiles.push_back(filter_tile(values.subspan(i * shown, shown), planes == 3 ? 3 : 1, static_cast<int>(side)));
  const int columns = std::max(1, static_cast<int>(std::ceil(std::sqrt(static_cast<double>(tiles.size())))));
  save_image(out, grid(tiles, columns));
  log::say(concat(out.string(), ": layer ", weights.layer, ", ", rows, " filters of ", side, " x ", side, " x ", planes,
                  tiles.size() < rows * per_filter ? concat(", the first ", tiles.size(), " planes of them") : ""));
  return 0;
}

int imtest(const Arguments& arguments) {
  const Image image = load_image(arguments.positional[0]);
  const fs::path out = arguments.text("out");
  const auto seed = static_cast<uint64_t>(arguments.integer("seed", 0, INT64_MAX));
  constexpr int kSide = 320, kColumns = 4, kDrawn = 8;
  const Window whole{0, 0, image.width, image.height};
  const std::array<float, 3> mean = mean_colour(image);
  std::vector<Image> sheet;
  const auto add = [&](const Sampling& sampling) { sheet.push_back(resampled(image, sampling, kSide, kSide)); };
  add({whole});
  add({.window = whole, .flip = true});
  add({.window = whole, .distortion = {.hue = .1f}});
  add({.window = whole, .distortion = {.saturation = 1.5f}});
  add({.window = whole, .distortion = {.saturation = 0}});
  add({.window = whole, .distortion = {.exposure = 1.5f}});
  add({.window = whole, .distortion = {.exposure = .5f}});
  const int side = std::max(image.width, image.height);
  add({.window = {(image.width - side) / 2, (image.height - side) / 2, side, side}, .fill = {127.5f, 127.5f, 127.5f}});
  const Augmentation how{.jitter = .3, .hue = .1, .saturation = 1.5, .exposure = 1.5};   // as most detectors of the family are trained
  for (int i = 0; i < kDrawn; ++i) {
    Rng rng(seed, RandomUse::augment, static_cast<uint64_t>(i));
    const Draw draw = draw_augmentation(how, rng);
    add({.window = augmented_window(how, draw, image.width, image.height, kSide, kSide), .flip = draw.flip, .distortion = draw.distortion, .fill = mean});
  }
  save_image(out, make_contact_sheet(sheet, kColumns));
  log::say(concat(out.string(), ": the image, mirrored, hue + 0.1, saturation x 1.5 | gray, exposure x 1.5, x 0.5, letterbox | ", kDrawn,
                  " draws of jitter = 0.3, hue = 0.1, saturation = exposure = 1.5"));
  return 0;
}

}  // namespace dn::cli
