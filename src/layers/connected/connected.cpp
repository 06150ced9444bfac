#include "layers/connected/connected.h"

#include <cmath>

#include "nn/norm.h"

namespace dn {
namespace {

const Key<ConnectedSpec> kKeys[] = {
    {"output", &ConnectedSpec::output, 1, 1 << 20, "outputs"},
    {"activation", &ConnectedSpec::activation, 0, 0, "activation function", activation_names()},
};

}  // namespace

std::vector<KeyHelp> Connected::keys() { return with_norm_keys(key_help<ConnectedSpec>(kKeys), NormPlace::layer); }

std::unique_ptr<Connected> Connected::parse(const Section& section, const NetSpec& net, int index, Problems& problems) {
  std::unique_ptr<Connected> layer(new Connected(section, index, problems));
  layer->spec_ = bind<ConnectedSpec>(section, kKeys, problems);
  layer->norm_ = bind_layer_norm(section, net.norm, problems);
  finish(section, problems);
  if (!problems.failed()) layer->activation_ = activation_from_name(layer->spec_.activation);
  return layer;
}

Shape Connected::output_shape(std::span<const Shape> in) const {
  const Shape y{in[0].n, spec_.output, 1, 1};
  check_norm_shape(*this, norm_, y);
  return y;
}

std::vector<ParamSpec> Connected::params(std::span<const Shape> in) const {
  const size_t outputs = static_cast<size_t>(spec_.output), inputs = in[0].per_image();
  std::vector<ParamSpec> out{
      {"biases", ParamRole::bias, outputs, Init::zero},
      {"weights", ParamRole::weight, checked_product({outputs, inputs}), Init::uniform, std::sqrt(2.0 / static_cast<double>(inputs)), true}};
  out.back().shape = {outputs, inputs};
  for (ParamSpec& spec : norm_param_specs(norm_, outputs)) out.push_back(std::move(spec));
  return out;
}

}  // namespace dn
