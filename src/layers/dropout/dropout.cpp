// [dropout]: keys, shapes and the mask's key. See dropout.h.
#include "layers/dropout/dropout.h"

#include "base/rng.h"

namespace dn {
namespace {

constexpr Key<DropoutSpec> kKeys[] = {
    {"probability", &DropoutSpec::probability, 0, 1, "share of the values dropped in training, below 1"},
};

constexpr ForeignKey kForeign[] = {
    {"dropblock", "0", true, "dropping blocks is not built yet; plain dropout is dropblock=0"},
    {"dropblock_size_rel", "*", true, ""},  // mean something with dropblock=1 only
    {"dropblock_size_abs", "*", true, ""},
};

}  // namespace

std::unique_ptr<Dropout> Dropout::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Dropout> layer(new Dropout(section, index, problems));
  layer->spec_ = bind<DropoutSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  if (layer->spec_.probability >= 1) {
    problems.error(section, *section.find("probability"), "nothing would be left", "0 <= probability < 1");
    layer->spec_.probability = 0;
  }
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Dropout::keys() { return key_help<DropoutSpec>(kKeys); }

Shape Dropout::output_shape(std::span<const Shape> in) const {
  if (in[0].per_image() > UINT32_MAX) fail(section().where(), ": the input ", in[0].text(), " is too large; expected at most ", UINT32_MAX,
         " values per image");
  return in[0];
}

DropoutMask::DropoutMask(const Pass& pass, int layer, int image, double probability) {
  const uint64_t stream = (static_cast<uint64_t>(layer) << 40) + pass.first_image + static_cast<uint64_t>(image);
  Rng rng(pass.seed, RandomUse::dropout, pass.iteration, stream);
  key0_ = rng.next();
  key1_ = rng.next();
  threshold_ = static_cast<uint32_t>(probability * 4294967296.0);
}

}  // namespace dn
