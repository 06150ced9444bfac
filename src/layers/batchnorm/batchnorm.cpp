#include "layers/batchnorm/batchnorm.h"

namespace dn {

std::unique_ptr<Batchnorm> Batchnorm::parse(const Section& section, const NetSpec& net, int index, Problems& problems) {
  std::unique_ptr<Batchnorm> layer(new Batchnorm(section, index, problems));
  layer->norm_ = bind_layer_norm(section, net.norm, problems);
  finish(section, problems);
  return layer;
}

std::vector<ParamSpec> Batchnorm::params(std::span<const Shape> in) const {
  const size_t c = static_cast<size_t>(in[0].c);
  return {{"biases", ParamRole::bias, c, Init::zero},
          {"scales", ParamRole::scale, c, Init::one},
          {"rolling_mean", ParamRole::running_mean, c, Init::zero},
          {"rolling_variance", ParamRole::running_variance, c, Init::zero}};
}

}  // namespace dn
