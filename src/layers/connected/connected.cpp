#include "layers/connected/connected.h"

#include <cmath>

namespace dn {
namespace {

const Key<ConnectedSpec> kKeys[] = {
    {"output", &ConnectedSpec::output, 1, 1 << 20, "outputs"},
    {"batch_normalize", &ConnectedSpec::batch_normalize, 0, 1, "1: batch normalization over the mini-batch"},
    {"activation", &ConnectedSpec::activation, 0, 0, "activation function", activation_names()},
};

}  // namespace

std::vector<KeyHelp> Connected::keys() { return key_help<ConnectedSpec>(kKeys); }

std::unique_ptr<Connected> Connected::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Connected> layer(new Connected(section, index, problems));
  layer->spec_ = bind<ConnectedSpec>(section, kKeys, problems);
  finish(section, problems);
  if (!problems.failed()) layer->activation_ = activation_from_name(layer->spec_.activation);
  return layer;
}

std::vector<ParamSpec> Connected::params(std::span<const Shape> in) const {
  const size_t outputs = static_cast<size_t>(spec_.output), inputs = in[0].per_image();
  std::vector<ParamSpec> out{
      {"biases", ParamRole::bias, outputs, Init::zero},
      {"weights", ParamRole::weight, checked_product({outputs, inputs}), Init::uniform, std::sqrt(2.0 / static_cast<double>(inputs)), true}};
  if (normalized()) {
    out.push_back({"scales", ParamRole::scale, outputs, Init::one});
    out.push_back({"rolling_mean", ParamRole::running_mean, outputs, Init::zero});
    out.push_back({"rolling_variance", ParamRole::running_variance, outputs, Init::zero});
  }
  return out;
}

}  // namespace dn
