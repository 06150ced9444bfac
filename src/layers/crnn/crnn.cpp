// [crnn]: keys, its three convolutions, shapes and parameters. See crnn.h.
#include "layers/crnn/crnn.h"

#include <utility>

namespace dn {
namespace {

std::span<const Key<CrnnSpec>> key_table() {
  static const std::vector<Key<CrnnSpec>> keys = with_conv_part_keys<CrnnSpec>({
      {"hidden", &CrnnSpec::hidden, 1, 65536, "channels of the state"},
      {"output", &CrnnSpec::output, 1, 65536, "output channels"},
      {"shortcut", &CrnnSpec::shortcut, 0, 0, "1: the last state is added to the next"},
  });
  return keys;
}

constexpr std::string_view kNames[] = {"in", "self", "out"};

}  // namespace

std::unique_ptr<Crnn> Crnn::parse(const Section& section, const NetSpec& net, int index, Problems& problems, const LayerType& convolution) {
  std::unique_ptr<Crnn> layer(new Crnn(section, index, problems));
  const CrnnSpec& spec = layer->spec_ = bind<CrnnSpec>(section, key_table(), problems);
  const NormSpec& norm = layer->norm_ = bind_layer_norm(section, net.norm, problems);
  bind_conv_part_foreign(section, problems);
  finish(section, problems);
  check_conv_parts(section, spec, norm, problems);
  check_part_channels(section, "hidden", spec.hidden, spec.groups, problems);
  check_part_channels(section, "output", spec.output, spec.groups, problems);
  layer->time_steps_ = net.time_steps;
  if (problems.failed()) return layer;
  layer->convolution_ = convolution;
  for (int which = 0; which < kParts; ++which)
    layer->parts_[static_cast<size_t>(which)] = convolution.parse(conv_part_section(section, spec, which == kOut ? spec.output : spec.hidden, which == kIn), net, index, problems);
  return layer;
}

std::vector<KeyHelp> Crnn::keys() { return with_norm_keys(key_help<CrnnSpec>(key_table()), NormPlace::layer); }

Shape Crnn::output_shape(std::span<const Shape> in) const {
  const Shape state = state_shape(in[0]);
  ensure(part(kSelf).output_shape({&state, 1}) == state, "the state of a crnn keeps its shape");
  return part(kOut).output_shape({&state, 1});
}

std::vector<ParamSpec> Crnn::part_params(int which, const Shape& in) const {
  const Shape x = which == kIn ? in : state_shape(in);
  std::vector<ParamSpec> specs = part(which).params({&x, 1});
  for (ParamSpec& spec : specs) spec.name = concat(kNames[which], "_", spec.name);
  return specs;
}

std::vector<ParamSpec> Crnn::params(std::span<const Shape> in) const {
  std::vector<ParamSpec> all;
  for (int which = 0; which < kParts; ++which)
    for (ParamSpec& spec : part_params(which, in[0])) all.push_back(std::move(spec));
  return all;
}

double Crnn::forward_flops(std::span<const Shape> in) const {
  const Shape state = state_shape(in[0]);
  return part(kIn).forward_flops(in) + part(kSelf).forward_flops({&state, 1}) + part(kOut).forward_flops({&state, 1});
}

std::string Crnn::summary(std::span<const Shape>) const {
  return concat(spec_.hidden, " -> ", spec_.output, "  ", spec_.size, "x", spec_.size, spec_.stride > 1 ? concat("/", spec_.stride) : "", "  ",
                norm_.any() ? norm_.text() + "  " : "", spec_.activation, spec_.shortcut ? "  shortcut" : "");
}

}  // namespace dn
