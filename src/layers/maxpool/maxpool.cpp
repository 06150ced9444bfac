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
    {"maxpool_depth", &MaxpoolSpec::maxpool_depth, 0, 1, "1: maximum over channels, every out_channels-th one, instead of windows"},
    {"out_channels", &MaxpoolSpec::out_channels, 1, 65536, "channels that are left, with maxpool_depth"},
    {"antialiasing", &MaxpoolSpec::antialiasing, 0, 2, Antialias::kDoc},
};

constexpr ForeignKey kForeign[] = {
    {"maxpool_zero_nonmax", "0", false, "this program always passes the gradient to the largest value alone"},
};

}  // namespace

std::unique_ptr<Maxpool> Maxpool::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Maxpool> layer(new Maxpool(section, index, problems));
  MaxpoolSpec spec = bind<MaxpoolSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  spec.resolve(section, problems);
  layer->antialias_ = Antialias::take(spec.antialiasing, spec.stride_x, spec.stride_y);
  layer->spec_ = spec;
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Maxpool::keys() { return key_help<MaxpoolSpec>(kKeys); }

Shape Maxpool::pooled_shape(const Shape& in) const {
  if (!spec_.maxpool_depth) return spec_.output_shape(section(), in);
  if (in.c < spec_.out_channels)
    fail(section().where(), " out_channels = ", spec_.out_channels, ": the input is ", in.text(), "; expected at most its ", in.c, " channels");
  return {in.n, spec_.out_channels, in.h, in.w};
}

Shape Maxpool::output_shape(std::span<const Shape> in) const { return antialias_.output_shape(section(), pooled_shape(in[0])); }

double Maxpool::forward_flops(std::span<const Shape> in) const {
  if (spec_.maxpool_depth) return static_cast<double>(in[0].count());
  return static_cast<double>(pooled_shape(in[0]).count()) * spec_.size * spec_.size;
}

std::string Maxpool::summary(std::span<const Shape>) const {
  return (spec_.maxpool_depth ? concat("over channels to ", spec_.out_channels) : spec_.text()) + antialias_.text();
}

}  // namespace dn
