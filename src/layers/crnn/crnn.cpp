// [crnn]: keys, its three convolutions, shapes and parameters. See crnn.h.
#include "layers/crnn/crnn.h"

#include <utility>

#include "nn/activation.h"

namespace dn {
namespace {

const Key<CrnnSpec> kKeys[] = {
    {"hidden", &CrnnSpec::hidden, 1, 65536, "channels of the state"},
    {"output", &CrnnSpec::output, 1, 65536, "output channels"},
    {"shortcut", &CrnnSpec::shortcut, 0, 0, "1: the last state is added to the next"},
    {"size", &CrnnSpec::size, 1, 63, "side of the square kernels, odd"},
    {"stride", &CrnnSpec::stride, 1, 64, "step of the kernel on the input; behind it sizes stay"},
    {"pad", &CrnnSpec::pad, 0, 0, "1: padding = size / 2"},
    {"padding", &CrnnSpec::padding, 0, 64, "zero border on each side, when pad is 0"},
    {"dilation", &CrnnSpec::dilation, 1, 64, "distance between kernel taps"},
    {"groups", &CrnnSpec::groups, 1, 65536, "channels are cut into this many independent groups, in all three convolutions"},
    {"activation", &CrnnSpec::activation, 0, 0, "activation function of all three convolutions", activation_names()},
};

constexpr ForeignKey kForeign[] = {
    {"xnor", "0", true, "binary recurrent layers are not built"},
    {"bin_output", "0", true, "binary recurrent layers are not built"},
};

constexpr std::string_view kNames[] = {"in", "self", "out"};

// The section of one of the convolutions: what the three share, its filters, and its step.
Section part_section(const Section& section, const CrnnSpec& spec, int which) {
  Section part{section.file, section.line, section.type, {}, {}};
  const auto put = [&part](const std::string& key, const std::string& value) { part.entries.push_back({key, value, part.line}); };
  put("filters", concat(which == Crnn::kOut ? spec.output : spec.hidden));
  put("size", concat(spec.size));
  put("stride", concat(which == Crnn::kIn ? spec.stride : 1));
  put("padding", concat(spec.pad ? spec.size / 2 : spec.padding));
  put("dilation", concat(spec.dilation));
  put("groups", concat(spec.groups));
  put("activation", spec.activation);
  for (const KeyHelp& norm : with_norm_keys({}, NormPlace::layer))
    if (const Entry* entry = section.find(norm.name)) part.entries.push_back(*entry);
  return part;
}

}  // namespace

std::unique_ptr<Crnn> Crnn::parse(const Section& section, const NetSpec& net, int index, Problems& problems, const LayerType& convolution) {
  std::unique_ptr<Crnn> layer(new Crnn(section, index, problems));
  const CrnnSpec& spec = layer->spec_ = bind<CrnnSpec>(section, kKeys, problems);
  const NormSpec& norm = layer->norm_ = bind_layer_norm(section, net.norm, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  if (spec.size % 2 == 0) problems.error(section, *section.find("size"), "the state could not keep its size", "an odd size");
  const int padding = spec.pad ? spec.size / 2 : spec.padding;
  if (spec.size % 2 == 1 && padding != spec.size / 2)
    problems.error(concat(section.where(), ": padding = ", padding, ": the state would not keep its size; expected pad = 1"));
  if (norm.batch_statistics() && norm.scope != NormScope::minibatch)
    problems.error(
        concat(section.where(), ": norm = ", norm.text(), ": steps of time have statistics of their own; expected norm_scope = minibatch"));
  for (const auto& [key, channels] : {std::pair("hidden", spec.hidden), std::pair("output", spec.output)})
    if (channels % spec.groups != 0)
      problems.error(concat(section.where(), " ", key, " = ", channels, ": not divisible into groups = ", spec.groups, "; expected a multiple of ",
                            spec.groups));
  layer->time_steps_ = net.time_steps;
  if (problems.failed()) return layer;
  layer->convolution_ = convolution;
  for (int which = 0; which < kParts; ++which)
    layer->parts_[static_cast<size_t>(which)] = convolution.parse(part_section(section, spec, which), net, index, problems);
  return layer;
}

std::vector<KeyHelp> Crnn::keys() { return with_norm_keys(key_help<CrnnSpec>(kKeys), NormPlace::layer); }

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
