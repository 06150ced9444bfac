// [crop]: keys, shapes and the draw. See crop.h.
#include "layers/crop/crop.h"

#include <algorithm>

#include "base/rng.h"

namespace dn {
namespace {

constexpr Key<CropSpec> kKeys[] = {
    {"crop_width", &CropSpec::crop_width, 1, 16384, "width of the window"},
    {"crop_height", &CropSpec::crop_height, 1, 16384, "height of the window"},
    {"flip", &CropSpec::flip, 0, 0, "in training every second image is mirrored"},
    {"noadjust", &CropSpec::noadjust, 0, 0, "1: values stay as they are; 0: 0..1 becomes -1..1"},
    {"saturation", &CropSpec::saturation, .01, 100, "in training saturation is multiplied or divided by up to this; of the network's input only"},
    {"exposure", &CropSpec::exposure, .01, 100, "in training brightness is multiplied or divided by up to this; of the network's input only"},
    {"shift", &CropSpec::shift, 0, 1, "in training each channel moves by up to half of this; of the network's input only"},
};

constexpr ForeignKey kForeign[] = {
    {"angle", "0", false, "pictures are not rotated"},
};

// Uniform in 1 .. limit, or its inverse.
double factor(double limit, Rng& rng) {
  const double value = 1 + (limit - 1) * rng.uniform();
  return rng.coin() ? 1 / value : value;
}

}  // namespace

std::unique_ptr<Crop> Crop::parse(const Section& section, const NetSpec& net, int index, Problems& problems) {
  std::unique_ptr<Crop> layer(new Crop(section, index, problems));
  layer->spec_ = bind<CropSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  if (index > 0 && layer->changes_colours())
    problems.error(concat(section.where(), ": saturation, exposure and shift change the colours of pictures; expected this layer as the first"));
  layer->net_width_ = net.width;
  layer->net_height_ = net.height;
  return layer;
}

std::vector<KeyHelp> Crop::keys() { return key_help<CropSpec>(kKeys); }

Shape Crop::output_shape(std::span<const Shape> in) const {
  const auto scaled = [this](int window, int whole, int now) {
    return index() > 0 || whole == 0 ? window : std::max(1, static_cast<int>(static_cast<int64_t>(now) * window / whole));
  };
  const int w = scaled(spec_.crop_width, net_width_, in[0].w), h = scaled(spec_.crop_height, net_height_, in[0].h);
  if (w > in[0].w || h > in[0].h)
    fail(section().where(), ": the window of ", w, " x ", h, " is larger than the input ", in[0].text(),
         "; expected crop_width and crop_height within it");
  if (changes_colours() && in[0].c != 3) fail(section().where(), ": saturation, exposure and shift need 3 channels, the input is ", in[0].text());
  return {in[0].n, in[0].c, h, w};
}

CropDraw Crop::draw(const Pass& pass, int image, const Shape& in, const Shape& out) const {
  CropDraw d;
  d.top = (in.h - out.h) / 2;
  d.left = (in.w - out.w) / 2;
  if (!pass.training) return d;
  Rng rng(pass.seed, RandomUse::crop, pass.iteration, (static_cast<uint64_t>(index()) << 40) + pass.first_image + static_cast<uint64_t>(image));
  d.top = static_cast<int>(rng.below(static_cast<uint32_t>(in.h - out.h + 1)));
  d.left = static_cast<int>(rng.below(static_cast<uint32_t>(in.w - out.w + 1)));
  d.flip = rng.coin() && spec_.flip;
  d.saturation = factor(spec_.saturation, rng);
  d.exposure = factor(spec_.exposure, rng);
  for (double& added : d.added) added = (rng.uniform() - .5) * spec_.shift;
  return d;
}

std::string Crop::summary(std::span<const Shape>) const { return concat(spec_.crop_width, " x ", spec_.crop_height, spec_.flip ? "  flip" : ""); }

}  // namespace dn
