#include "layers/activation/activation_layer.h"

namespace dn {
namespace {

const Key<ActivationSpec> kKeys[] = {
    {"activation", &ActivationSpec::activation, 0, 0, "activation function", activation_names()},
};

}  // namespace

std::unique_ptr<ActivationLayer> ActivationLayer::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<ActivationLayer> layer(new ActivationLayer(section, index, problems));
  const ActivationSpec spec = bind<ActivationSpec>(section, kKeys, problems);
  finish(section, problems);
  layer->activation_ = activation_from_name(spec.activation);
  return layer;
}

std::vector<KeyHelp> ActivationLayer::keys() { return key_help<ActivationSpec>(kKeys); }

}  // namespace dn
