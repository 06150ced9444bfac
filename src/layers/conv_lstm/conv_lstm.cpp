// [conv_lstm]: keys, its convolutions, shapes and parameters. See conv_lstm.h.
#include "layers/conv_lstm/conv_lstm.h"

#include <utility>

namespace dn {
namespace {

std::span<const Key<ConvLstmSpec>> key_table() {
  static const std::vector<Key<ConvLstmSpec>> keys = with_conv_part_keys<ConvLstmSpec>({
      {"output", &ConvLstmSpec::output, 1, 65536, "channels of the state and of the output"},
      {"peephole", &ConvLstmSpec::peephole, 0, 0, "1: the gates see the cells through convolutions of their own"},
      {"bottleneck", &ConvLstmSpec::bottleneck, 0, 0, "1: one convolution of state and input together, from which all gates are computed"},
      {"shortcut", &ConvLstmSpec::shortcut, 0, 0, "bottleneck: the first half of its channels is added to the output"},
      {"lstm_activation", &ConvLstmSpec::lstm_activation, 0, 0, "activation function of the candidate and of the cell", activation_names()},
      {"state_constrain", &ConvLstmSpec::state_constrain, -1, 1e9, "cells stay within +- this; -1: 32 x time_steps; 0: no bound"},
      {"time_normalizer", &ConvLstmSpec::time_normalizer, 0, 1e6, "factor on the gradients that go from a step back to the one before"},
  });
  return keys;
}

constexpr std::string_view kNames[] = {"vf", "vi", "vo", "wf", "wi", "wg", "wo", "uf", "ui", "ug", "uo"};
constexpr int kStepsToBound = 32;

}  // namespace

std::unique_ptr<ConvLstm> ConvLstm::parse(const Section& section, const NetSpec& net, int index, Problems& problems, const LayerType& convolution) {
  std::unique_ptr<ConvLstm> layer(new ConvLstm(section, index, problems));
  ConvLstmSpec& spec = layer->spec_ = bind<ConvLstmSpec>(section, key_table(), problems);
  const NormSpec& norm = layer->norm_ = bind_layer_norm(section, net.norm, problems);
  bind_conv_part_foreign(section, problems);
  finish(section, problems);
  check_conv_parts(section, spec, norm, problems);
  check_part_channels(section, "output", spec.output, spec.groups, problems);
  if (spec.state_constrain < 0) spec.state_constrain = static_cast<float>(kStepsToBound * net.time_steps);
  if (spec.bottleneck && spec.stride != 1)
    problems.error(
        concat(section.where(), " stride = ", spec.stride, ": bottleneck = 1 joins the input with the state, which has its size; expected 1"));
  if (spec.shortcut && !spec.bottleneck)
    problems.warning(concat(section.where(), " shortcut = 1: belongs to bottleneck = 1, without it there is nothing to add: no effect"));
  if (spec.shortcut && spec.bottleneck && spec.output == 1)
    problems.error(concat(section.where(), " shortcut = 1: half of output = 1 channel cannot be added; expected output = 2 or more"));
  layer->time_steps_ = net.time_steps;
  if (problems.failed()) return layer;
  layer->activation_ = activation_from_name(spec.lstm_activation);
  layer->convolution_ = convolution;
  for (int which = 0; which < kParts; ++which)
    if (layer->wanted(which))
      layer->parts_[static_cast<size_t>(which)] =
          convolution.parse(conv_part_section(section, spec, spec.output, which >= kUf), net, index, problems);
  return layer;
}

bool ConvLstm::wanted(int which) const {
  if (which <= kVo) return spec_.peephole;
  return which == kWf || which >= kUf || !spec_.bottleneck;
}

std::vector<KeyHelp> ConvLstm::keys() { return with_norm_keys(key_help<ConvLstmSpec>(key_table()), NormPlace::layer); }

Shape ConvLstm::output_shape(std::span<const Shape> in) const {
  if (spec_.bottleneck && in[0].c != spec_.output)
    fail(section().where(), " bottleneck = 1: the ", in[0].c, " channels of ", above(), " do not fit output = ", spec_.output, "; expected as many");
  const Shape state = part(kUf).output_shape(in);
  for (int which = 0; which < kUf; ++which)
    if (const Shape x = part_input(which, in[0]); has(which))
      ensure(part(which).output_shape({&x, 1}) == state, "the state of a conv_lstm keeps its shape");
  return state;
}

Shape ConvLstm::part_input(int which, const Shape& in) const {
  if (which >= kUf) return in;
  Shape x = part(kUf).output_shape({&in, 1});
  if (spec_.bottleneck && which == kWf) x.c += in.c;
  return x;
}

std::vector<ParamSpec> ConvLstm::part_params(int which, const Shape& in) const {
  const Shape x = part_input(which, in);
  std::vector<ParamSpec> specs = part(which).params({&x, 1});
  for (ParamSpec& spec : specs) spec.name = concat(kNames[which], "_", spec.name);
  return specs;
}

std::vector<ParamSpec> ConvLstm::params(std::span<const Shape> in) const {
  std::vector<ParamSpec> all;
  for (int which = 0; which < kParts; ++which)
    if (has(which))
      for (ParamSpec& spec : part_params(which, in[0])) all.push_back(std::move(spec));
  return all;
}

double ConvLstm::forward_flops(std::span<const Shape> in) const {
  double sum = 0;
  for (int which = 0; which < kParts; ++which)
    if (has(which)) {
      const Shape x = part_input(which, in[0]);
      sum += part(which).forward_flops({&x, 1});
    }
  return sum;
}

std::string ConvLstm::summary(std::span<const Shape>) const {
  return concat(spec_.output, "  ", spec_.size, "x", spec_.size, spec_.stride > 1 ? concat("/", spec_.stride) : "", "  ",
                norm_.any() ? norm_.text() + "  " : "", spec_.activation, "  ", spec_.lstm_activation, spec_.peephole ? "  peephole" : "",
                spec_.bottleneck ? "  bottleneck" : "", spec_.bottleneck && spec_.shortcut ? "  shortcut" : "");
}

}  // namespace dn
