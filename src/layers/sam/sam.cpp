// [sam]: keys, sources, shape. See sam.h.
#include "layers/sam/sam.h"

namespace dn {
namespace {

const Key<SamSpec> kKeys[] = {
    {"from", &SamSpec::from, -100000, 100000, "layer multiplied by the one before, always written; negative counts back from this one"},
    {"activation", &SamSpec::activation, 0, 0, "activation function of the product", activation_names()},
};

}  // namespace

std::unique_ptr<Sam> Sam::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Sam> layer(new Sam(section, index, problems));
  const SamSpec spec = bind<SamSpec>(section, kKeys, problems);
  finish(section, problems);
  layer->activation_ = activation_from_name(spec.activation);
  layer->sources_ = {index - 1, index - 1};
  if (const Entry* from = section.find("from"))
    layer->sources_[1] = resolve_layer(section, *from, spec.from, index, problems);
  else
    problems.error(concat(section.where(), ": 'from' is missing; expected for example from=-2"));
  return layer;
}

std::vector<KeyHelp> Sam::keys() { return key_help<SamSpec>(kKeys); }

Shape Sam::output_shape(std::span<const Shape> in) const {
  if (in[0] != in[1])
    fail(section().where(), ": layer ", sources_[1], " gives ", in[1].text(), " and layer ", sources_[0], " before gives ", in[0].text(),
         "; expected the same shape");
  return in[1];
}

}  // namespace dn
