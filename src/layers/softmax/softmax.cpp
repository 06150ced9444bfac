// [softmax]: keys and shapes. See softmax.h.
#include "layers/softmax/softmax.h"

#include "base/log.h"

namespace dn {
namespace {

constexpr Key<SoftmaxSpec> kKeys[] = {
    {"groups", &SoftmaxSpec::groups, 1, 65536, "equal parts with a softmax each"},
    {"temperature", &SoftmaxSpec::temperature, 1e-6, 1e6, "divides the inputs"},
    {"spatial", &SoftmaxSpec::spatial, 0, 1, "1: over the channels of every pixel"},
    {"noloss", &SoftmaxSpec::noloss, 0, 1, "1: never a loss of its own"},
};

constexpr ForeignKey kForeign[] = {
    {"tree", "", true, "hierarchical classes are not built yet"},
};

}  // namespace

std::unique_ptr<Softmax> Softmax::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Softmax> layer(new Softmax(section, index, problems));
  layer->spec_ = bind<SoftmaxSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Softmax::keys() { return key_help<SoftmaxSpec>(kKeys); }

Shape Softmax::output_shape(std::span<const Shape> in) const {
  const size_t values = spec_.spatial ? static_cast<size_t>(in[0].c) : in[0].per_image();
  if (values % static_cast<size_t>(spec_.groups) != 0)
    fail(section().where(), " groups = ", spec_.groups, ": ", above(), " gives ", values, spec_.spatial ? " channels" : " values",
         "; expected a divisor of ", values);
  return in[0];
}

void Softmax::warn_of_training(const KernelArgs& args) const {
  if (args.training && !spec_.noloss)
    log::warn(concat(section().where(), ": trained without a loss of its own, which needs class targets (noloss=1 says so)"));
}

std::string Softmax::summary(std::span<const Shape>) const {
  std::string text = concat(spec_.groups, spec_.groups == 1 ? " group" : " groups");
  if (spec_.spatial) text += "  spatial";
  if (spec_.temperature != 1) text += concat("  temperature ", spec_.temperature);
  return text;
}

}  // namespace dn
