// [scale_channels]: keys, sources, shape. See scale_channels.h.
#include "layers/scale_channels/scale_channels.h"

namespace dn {
namespace {

const Key<ScaleChannelsSpec> kKeys[] = {
    {"from", &ScaleChannelsSpec::from, -100000, 100000, "layer multiplied by the one before, always written; negative counts back from this one"},
    {"scale_wh", &ScaleChannelsSpec::scale_wh, 0, 1, "1: a factor per pixel instead of one per channel"},
    {"activation", &ScaleChannelsSpec::activation, 0, 0, "activation function of the product", activation_names()},
};

}  // namespace

std::unique_ptr<ScaleChannels> ScaleChannels::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<ScaleChannels> layer(new ScaleChannels(section, index, problems));
  const ScaleChannelsSpec spec = bind<ScaleChannelsSpec>(section, kKeys, problems);
  finish(section, problems);
  layer->per_pixel_ = spec.scale_wh;
  layer->activation_ = activation_from_name(spec.activation);
  layer->sources_ = {index - 1, index - 1};
  if (const Entry* from = section.find("from"))
    layer->sources_[1] = resolve_layer(section, *from, spec.from, index, problems);
  else
    problems.error(concat(section.where(), ": 'from' is missing; expected for example from=-4"));
  return layer;
}

std::vector<KeyHelp> ScaleChannels::keys() { return key_help<ScaleChannelsSpec>(kKeys); }

Shape ScaleChannels::output_shape(std::span<const Shape> in) const {
  const Shape& x = in[1];
  const Shape factors = per_pixel_ ? Shape{x.n, 1, x.h, x.w} : Shape{x.n, x.c, 1, 1};
  if (in[0] != factors)
    fail(section().where(), " scale_wh = ", per_pixel_ ? 1 : 0, ": layer ", sources_[1], " gives ", x.text(), " and layer ", sources_[0], " before gives ",
         in[0].text(), "; expected ", factors.text(), " factors");
  return x;
}

std::string ScaleChannels::summary(std::span<const Shape>) const {
  return concat("x ", sources_[1], per_pixel_ ? "  per pixel  " : "  ", activation_name(activation_));
}

}  // namespace dn
