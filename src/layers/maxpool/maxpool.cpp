// [maxpool]: keys and shapes. See maxpool.h.
#include "layers/maxpool/maxpool.h"

#include <algorithm>

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
  if (spec.stride_x == 0) spec.stride_x = spec.stride;
  if (spec.stride_y == 0) spec.stride_y = spec.stride;
  if (spec.size == 0) spec.size = spec.stride;
  if (spec.padding < 0) spec.padding = spec.size - 1;
  if (spec.padding > 2 * (spec.size - 1)) {  // otherwise the first or last window could lie outside the map
    problems.error(section, *section.find("padding"), "a window could hold no cell of the map",
                   concat("0..", 2 * (spec.size - 1), " for size ", spec.size));
    spec.padding = spec.size - 1;
  }
  layer->spec_ = spec;
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Maxpool::keys() { return key_help<MaxpoolSpec>(kKeys); }

Shape Maxpool::output_shape(std::span<const Shape> in) const {
  Shape y = in[0];
  const int rest_h = y.h + spec_.padding - spec_.size, rest_w = y.w + spec_.padding - spec_.size;
  if (rest_h < 0 || rest_w < 0)
    fail(section().where(), " size = ", spec_.size, ": larger than the padded input of ", y.w + spec_.padding, " x ", y.h + spec_.padding,
         "; expected at most ", std::min(y.w, y.h) + spec_.padding, " (input ", y.text(), ")");
  y.h = rest_h / spec_.stride_y + 1;
  y.w = rest_w / spec_.stride_x + 1;
  return y;
}

double Maxpool::forward_flops(std::span<const Shape> in) const {
  return static_cast<double>(output_shape(in).count()) * spec_.size * spec_.size;
}

std::string Maxpool::summary(std::span<const Shape>) const {
  std::string text = concat(spec_.size, "x", spec_.size, "/", spec_.stride_y);
  if (spec_.stride_x != spec_.stride_y) text = concat(spec_.size, "x", spec_.size, "/", spec_.stride_y, "x", spec_.stride_x);
  if (spec_.padding != spec_.size - 1) text += concat("  padding ", spec_.padding);
  return text;
}

}  // namespace dn
