#include "layers/implicit/implicit.h"

namespace dn {
namespace {

constexpr Key<ImplicitSpec> kKeys[] = {
    {"mean", &ImplicitSpec::mean, -1e6, 1e6, "middle of the initial values"},
    {"std", &ImplicitSpec::std, 0, 1e6, "initial values lie within mean +- std"},
    {"filters", &ImplicitSpec::filters, 1, 65536, "output channels"},
    {"atoms", &ImplicitSpec::atoms, 1, 65536, "values of a channel: the height of the output"},
};

}  // namespace

std::unique_ptr<Implicit> Implicit::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Implicit> layer(new Implicit(section, index, problems));
  layer->spec_ = bind<ImplicitSpec>(section, kKeys, problems);
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Implicit::keys() { return key_help<ImplicitSpec>(kKeys); }

std::vector<ParamSpec> Implicit::params(std::span<const Shape>) const {
  const size_t filters = static_cast<size_t>(spec_.filters), atoms = static_cast<size_t>(spec_.atoms);
  ParamSpec weights{"weights", ParamRole::weight, checked_product({filters, atoms}), Init::uniform, spec_.std, true};
  weights.shape = {filters, atoms};
  weights.init_mean = spec_.mean;
  return {weights};
}

}  // namespace dn
