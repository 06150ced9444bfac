// [local_avgpool]: keys. See local_avgpool.h.
#include "layers/local_avgpool/local_avgpool.h"

namespace dn {
namespace {

constexpr Key<LocalAvgpoolSpec> kKeys[] = {
    {"size", &LocalAvgpoolSpec::size, 1, 255, "side of the window; default: stride"},
    {"stride", &LocalAvgpoolSpec::stride, 1, 255, "step of the window"},
    {"stride_x", &LocalAvgpoolSpec::stride_x, 1, 255, "horizontal step; default: stride"},
    {"stride_y", &LocalAvgpoolSpec::stride_y, 1, 255, "vertical step; default: stride"},
    {"padding", &LocalAvgpoolSpec::padding, 0, 508, "cells added over both sides together; default: size - 1"},
    {"antialiasing", &LocalAvgpoolSpec::antialiasing, 0, 2, Antialias::kDoc},
};

}  // namespace

std::unique_ptr<LocalAvgpool> LocalAvgpool::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<LocalAvgpool> layer(new LocalAvgpool(section, index, problems));
  LocalAvgpoolSpec spec = bind<LocalAvgpoolSpec>(section, kKeys, problems);
  spec.resolve(section, problems);
  layer->antialias_ = Antialias::take(spec.antialiasing, spec.stride_x, spec.stride_y);
  layer->window_ = spec;
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> LocalAvgpool::keys() { return key_help<LocalAvgpoolSpec>(kKeys); }

double LocalAvgpool::forward_flops(std::span<const Shape> in) const {
  return static_cast<double>(pooled_shape(in[0]).count()) * window_.size * window_.size;
}

}  // namespace dn
