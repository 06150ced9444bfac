// [cost]: keys. See cost.h.
#include "layers/cost/cost.h"

namespace dn {
namespace {

constexpr std::string_view kTypes[] = {"sse", "masked", "smooth"};

const Key<CostSpec> kKeys[] = {
    {"type", &CostSpec::type, 0, 0, "form of a classifier's loss", kTypes},
    {"scale", &CostSpec::scale, 0, 1e6, "factor on the loss"},
    {"ratio", &CostSpec::ratio, 0, 1, "share of the gradients kept"},
};

}  // namespace

std::unique_ptr<Cost> Cost::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Cost> layer(new Cost(section, index, problems));
  layer->spec_ = bind<CostSpec>(section, kKeys, problems);
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Cost::keys() { return key_help<CostSpec>(kKeys); }

std::string Cost::summary(std::span<const Shape>) const { return spec_.type; }

}  // namespace dn
