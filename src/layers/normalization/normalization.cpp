// [normalization]: keys. See normalization.h.
#include "layers/normalization/normalization.h"

namespace dn {
namespace {

constexpr Key<NormalizationSpec> kKeys[] = {
    {"alpha", &NormalizationSpec::alpha, 0, 1e6, "factor on the sum of squares"},
    {"beta", &NormalizationSpec::beta, 0, 100, "power that divides"},
    {"kappa", &NormalizationSpec::kappa, 1e-6, 1e6, "what the sum starts from"},
    {"size", &NormalizationSpec::size, 1, 65536, "channels of a window"},
};

}  // namespace

std::unique_ptr<Normalization> Normalization::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Normalization> layer(new Normalization(section, index, problems));
  layer->spec_ = bind<NormalizationSpec>(section, kKeys, problems);
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Normalization::keys() { return key_help<NormalizationSpec>(kKeys); }

}  // namespace dn
