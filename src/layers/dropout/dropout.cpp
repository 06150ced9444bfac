// [dropout]: keys, shapes and the mask's key. See dropout.h.
#include "layers/dropout/dropout.h"

#include <algorithm>

namespace dn {
namespace {

constexpr Key<DropoutSpec> kKeys[] = {
    {"probability", &DropoutSpec::probability, 0, 1, "share of the values dropped in training, below 1"},
    {"dropblock", &DropoutSpec::dropblock, 0, 0, "1: rectangles of a channel are dropped, more and larger ones as training goes on"},
    {"dropblock_size_rel", &DropoutSpec::size_rel, 0, 1, "dropblock: width and height of a rectangle, as a share of the map's; 0: dropblock_size_abs"},
    {"dropblock_size_abs", &DropoutSpec::size_abs, 0, 16384, "dropblock: side of a rectangle, wins over dropblock_size_rel; 0: 7 without that"},
};

constexpr std::string_view kOfBlocks[] = {"dropblock_size_rel", "dropblock_size_abs"};

}  // namespace

std::unique_ptr<Dropout> Dropout::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Dropout> layer(new Dropout(section, index, problems));
  layer->spec_ = bind<DropoutSpec>(section, kKeys, problems);
  for (const std::string_view key : kOfBlocks)
    if (const Entry* entry = section.find(key); entry && !layer->spec_.dropblock)
      problems.warning(concat(section.where(*entry), ": has no effect without dropblock = 1"));
  if (layer->spec_.probability >= 1) {
    problems.error(section, *section.find("probability"), "nothing would be left", "0 <= probability < 1");
    layer->spec_.probability = 0;
  }
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Dropout::keys() { return key_help<DropoutSpec>(kKeys); }

Shape Dropout::output_shape(std::span<const Shape> in) const {
  if (in[0].per_image() > UINT32_MAX) fail(section().where(), ": the input ", in[0].text(), " is too large; expected at most ", UINT32_MAX,
         " values per image");
  return in[0];
}

std::string Dropout::summary(std::span<const Shape>) const {
  if (!spec_.dropblock) return concat("p ", spec_.probability);
  return concat("p ", spec_.probability, "  blocks ", spec_.size_abs > 0 || spec_.size_rel == 0 ? concat(spec_.size_abs > 0 ? spec_.size_abs : 7) : concat("x ", spec_.size_rel));
}

DropRectangle drop_rectangle(const DropoutSpec& spec, const Shape& map, double progress) {
  constexpr int kSide = 7;
  constexpr double kRampEnd = .85;   // of the training
  const double ramp = std::min(1.0, progress / kRampEnd);
  const auto side = [&](int whole) {
    const double full = spec.size_abs > 0 ? spec.size_abs : spec.size_rel > 0 ? spec.size_rel * whole : kSide;
    return std::clamp(static_cast<int>(full * ramp), 1, whole);
  };
  DropRectangle r{side(map.w), side(map.h), 0};
  r.seeds = spec.probability * ramp / (static_cast<double>(r.width) * r.height);
  return r;
}

size_t DropoutMask::drop_rectangles(const DropRectangle& rectangle, const Shape& map, int channel, std::span<uint8_t> dropped) const {
  std::ranges::fill(dropped, uint8_t{0});
  const uint32_t first = static_cast<uint32_t>(channel) * static_cast<uint32_t>(map.plane());
  for (int y = 0; y < map.h; ++y)
    for (int x = 0; x < map.w; ++x) {
      if (!drops(first + static_cast<uint32_t>(y * map.w + x))) continue;
      const int top = y - rectangle.height / 2, left = x - rectangle.width / 2, right = std::min(left + rectangle.width, map.w);
      for (int i = std::max(top, 0); i < std::min(top + rectangle.height, map.h); ++i)
        std::fill(dropped.begin() + i * map.w + std::max(left, 0), dropped.begin() + i * map.w + right, uint8_t{1});
    }
  return static_cast<size_t>(std::ranges::count(dropped, uint8_t{1}));
}

DropoutMask::DropoutMask(const Pass& pass, int layer, int image, double probability)
    : DropoutMask(pass.seed, pass.iteration, layer, pass.first_image + static_cast<uint64_t>(image), threshold_for(probability)) {}

}  // namespace dn
