#include "layers/batchnorm/batchnorm.h"

#include "nn/norm.h"

namespace dn {

std::unique_ptr<Batchnorm> Batchnorm::parse(const Section& section, const NetSpec& net, int index, Problems& problems) {
  std::unique_ptr<Batchnorm> layer(new Batchnorm(section, index, problems));
  layer->norm_ = bind_layer_norm(section, net.norm, problems);
  finish(section, problems);
  return layer;
}

Shape Batchnorm::output_shape(std::span<const Shape> in) const {
  check_norm_shape(*this, norm_, in[0]);
  return in[0];
}

std::vector<ParamSpec> Batchnorm::params(std::span<const Shape> in) const {
  const size_t c = static_cast<size_t>(in[0].c);
  std::vector<ParamSpec> out{{"biases", ParamRole::bias, c, Init::zero}};
  for (ParamSpec& spec : norm_param_specs(norm_, c)) out.push_back(std::move(spec));
  return out;
}

}  // namespace dn
