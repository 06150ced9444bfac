// [local]: keys, shapes and parameters. See local.h.
#include "layers/local/local.h"

#include <algorithm>
#include <cmath>

namespace dn {
namespace {

const Key<LocalSpec> kKeys[] = {
    {"filters", &LocalSpec::filters, 1, 65536, "output channels"},
    {"size", &LocalSpec::size, 1, 63, "side of the square kernel"},
    {"stride", &LocalSpec::stride, 1, 64, "step of the kernel"},
    {"pad", &LocalSpec::pad, 0, 0, "1: the kernel's middle lies on the input's cells, zeros beyond the border; 0: the kernel stays inside"},
    {"activation", &LocalSpec::activation, 0, 0, "activation function", activation_names()},
};

}  // namespace

std::unique_ptr<Local> Local::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Local> layer(new Local(section, index, problems));
  layer->spec_ = bind<LocalSpec>(section, kKeys, problems);
  finish(section, problems);
  if (!problems.failed()) layer->activation_ = activation_from_name(layer->spec_.activation);
  return layer;
}

std::vector<KeyHelp> Local::keys() { return key_help<LocalSpec>(kKeys); }

Shape Local::output_shape(std::span<const Shape> in) const {
  const int less = spec_.pad ? 1 : spec_.size;
  if (in[0].w < less || in[0].h < less)
    fail(section().where(), " size = ", spec_.size, ": larger than the input ", in[0].text(), "; expected at most ", std::min(in[0].w, in[0].h));
  return {in[0].n, spec_.filters, (in[0].h - less) / spec_.stride + 1, (in[0].w - less) / spec_.stride + 1};
}

std::vector<ParamSpec> Local::params(std::span<const Shape> in) const {
  const Shape out = output_shape(in);
  const size_t side = static_cast<size_t>(spec_.size), filters = static_cast<size_t>(spec_.filters), channels = static_cast<size_t>(in[0].c);
  const size_t fan_in = side * side * channels;
  std::vector<ParamSpec> specs{{"biases", ParamRole::bias, out.per_image(), Init::zero},
                               {"weights", ParamRole::weight, checked_product({out.plane(), filters, fan_in}), Init::uniform,
                                std::sqrt(2.0 / static_cast<double>(fan_in)), true}};
  specs[0].shape = {filters, static_cast<size_t>(out.h), static_cast<size_t>(out.w)};
  specs[1].shape = {out.plane(), filters, channels, side, side};
  return specs;
}

double Local::forward_flops(std::span<const Shape> in) const {
  return 2.0 * spec_.size * spec_.size * in[0].c * static_cast<double>(output_shape(in).count());
}

std::string Local::summary(std::span<const Shape>) const {
  return concat(spec_.filters, "  ", spec_.size, "x", spec_.size, spec_.stride > 1 ? concat("/", spec_.stride) : "", "  ", spec_.activation);
}

}  // namespace dn
