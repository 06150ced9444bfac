// [shortcut]: keys, sources, shapes and parameters. See shortcut.h.
#include "layers/shortcut/shortcut.h"

namespace dn {
namespace {

constexpr std::string_view kWeightTypes[] = {"none", "per_feature", "per_layer", "per_channel"};
constexpr std::string_view kNorms[] = {"none", "relu", "avg_relu", "softmax"};
constexpr size_t kMaxFrom = 63;

const Key<ShortcutSpec> kKeys[] = {
    {"from", &ShortcutSpec::from, -100000, 100000, "layers added to the one before; negative counts back from this one"},
    {"activation", &ShortcutSpec::activation, 0, 0, "activation function of the sum", activation_names()},
    {"weights_type", &ShortcutSpec::weights_type, 0, 0, "learned weights: one per source or one per source and channel", kWeightTypes},
    {"weights_normalization", &ShortcutSpec::weights_normalization, 0, 0, "how weights are normalized; needed with weights_type", kNorms},
};

}  // namespace

std::unique_ptr<Shortcut> Shortcut::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Shortcut> layer(new Shortcut(section, index, problems));
  ShortcutSpec& spec = layer->spec_ = bind<ShortcutSpec>(section, kKeys, problems);
  finish(section, problems);
  layer->activation_ = activation_from_name(spec.activation);
  layer->sources_ = {index - 1};
  const Entry* from = section.find("from");
  if (index == 0) {
    problems.error(concat(section.where(), ": is the first layer; expected one layer before it to add to"));
  } else if (!from) {
    problems.error(concat(section.where(), ": 'from' is missing; expected for example from=-3"));
  } else {
    for (int written : spec.from) layer->sources_.push_back(resolve_layer(section, *from, written, index, problems));
    if (spec.from.size() > kMaxFrom) problems.error(section, *from, concat(spec.from.size(), " layers"), concat("at most ", kMaxFrom));
  }
  if (layer->weighted() && spec.weights_normalization == "none")
    problems.error(concat(section.where(), " weights_type = ", spec.weights_type, ": weights must be normalized; expected weights_normalization=relu",
                          " or softmax beside it"));
  if (!layer->weighted() && spec.weights_normalization != "none")
    problems.warning(concat(section.where(), " weights_normalization = ", spec.weights_normalization, ": has no effect without weights_type"));
  return layer;
}

std::vector<KeyHelp> Shortcut::keys() { return key_help<ShortcutSpec>(kKeys); }

int sampling_step(const Shape& source, const Shape& out) {
  if (source.h == out.h && source.w == out.w) return 1;
  const bool larger = source.h >= out.h && source.w >= out.w;
  const Shape &big = larger ? source : out, &small = larger ? out : source;
  const int k = std::max((big.h + small.h / 2) / small.h, (big.w + small.w / 2) / small.w);
  const auto fits = [k](int a, int b) { return b == a / k || b == (a + k - 1) / k; };
  return k > 1 && fits(big.h, small.h) && fits(big.w, small.w) ? (larger ? k : -k) : 0;
}

Shape Shortcut::output_shape(std::span<const Shape> in) const {
  for (size_t i = 1; i < in.size(); ++i)
    if (sampling_step(in[i], in[0]) == 0)
      fail(section().where(), " from = ", spec_.from[i - 1], ": layer ", sources_[i], " gives ", in[i].text(), " and layer ", sources_[0],
           " before gives ", in[0].text(), "; expected the same width and height, or both so many times as large");
  return in[0];
}

std::vector<ParamSpec> Shortcut::params(std::span<const Shape> in) const {
  if (!weighted()) return {};
  const size_t each = per_channel() ? static_cast<size_t>(in[0].c) : 1;
  ParamSpec weights{"weights", ParamRole::weight, sources_.size() * each, Init::one};
  weights.clip_gradient = 1;
  return {weights};
}

double Shortcut::forward_flops(std::span<const Shape> in) const {
  double adds = 0;
  for (const Shape& shape : in.subspan(1)) adds += static_cast<double>(std::min(shape.c, in[0].c)) * static_cast<double>(std::min(shape.plane(), in[0].plane())) * shape.n;
  return weighted() ? 2 * (adds + static_cast<double>(in[0].count())) : adds;
}

std::string Shortcut::summary(std::span<const Shape>) const {
  std::string text;
  for (size_t i = 1; i < sources_.size(); ++i) text += concat(i > 1 ? " + " : "+ ", sources_[i]);
  if (weighted()) text += concat("  ", spec_.weights_type, " ", spec_.weights_normalization);
  return concat(text, "  ", spec_.activation);
}

}  // namespace dn
