// [maxpool]: keys and shapes. See maxpool.h.
#include "layers/maxpool/maxpool.h"

namespace dn {
namespace {

constexpr Key<MaxpoolSpec> kKeys[] = {
    {"size", &MaxpoolSpec::size, 1, 255, "side of the window; default: stride"},
    {"stride", &MaxpoolSpec::stride, 1, 255, "step of the window"},
    {"stride_x", &MaxpoolSpec::stride_x, 1, 255, "horizontal step; default: stride"},
    {"stride_y", &MaxpoolSpec::stride_y, 1, 255, "vertical step; default: stride"},
    {"padding", &MaxpoolSpec::padding, 0, 508, "cells added over both sides together; default: size - 1"},
};

constexpr ForeignKey kForeign[] = {
    {"maxpool_depth", "0", true, "maximum over channels is not built yet"},
    {"out_channels", "*", true, ""},  // means something with maxpool_depth only
    {"antialiasing", "0", true, "blurred pooling is not built yet"},
    {"maxpool_zero_nonmax", "0", false, "this program always passes the gradient to the largest value alone"},
};

}  // namespace

std::unique_ptr<Maxpool> Maxpool::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Maxpool> layer(new Maxpool(section, index, problems));
  MaxpoolSpec spec = bind<MaxpoolSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  spec.resolve(section, problems);
  layer->spec_ = spec;
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Maxpool::keys() { return key_help<MaxpoolSpec>(kKeys); }

double Maxpool::forward_flops(std::span<const Shape> in) const {
  return static_cast<double>(output_shape(in).count()) * spec_.size * spec_.size;
}

}  // namespace dn
