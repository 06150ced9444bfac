// [local_avgpool]: keys. See local_avgpool.h.
#include "layers/local_avgpool/local_avgpool.h"

namespace dn {
namespace {

constexpr Key<PoolWindow> kKeys[] = {
    {"size", &PoolWindow::size, 1, 255, "side of the window; default: stride"},
    {"stride", &PoolWindow::stride, 1, 255, "step of the window"},
    {"stride_x", &PoolWindow::stride_x, 1, 255, "horizontal step; default: stride"},
    {"stride_y", &PoolWindow::stride_y, 1, 255, "vertical step; default: stride"},
    {"padding", &PoolWindow::padding, 0, 508, "cells added over both sides together; default: size - 1"},
};

constexpr ForeignKey kForeign[] = {
    {"antialiasing", "0", true, "blurred pooling is not built yet"},
};

}  // namespace

std::unique_ptr<LocalAvgpool> LocalAvgpool::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<LocalAvgpool> layer(new LocalAvgpool(section, index, problems));
  layer->window_ = bind<PoolWindow>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  layer->window_.resolve(section, problems);
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> LocalAvgpool::keys() { return key_help<PoolWindow>(kKeys); }

double LocalAvgpool::forward_flops(std::span<const Shape> in) const {
  return static_cast<double>(output_shape(in).count()) * window_.size * window_.size;
}

}  // namespace dn
