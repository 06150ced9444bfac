// [upsample]: keys and shapes. See upsample.h.
#include "layers/upsample/upsample.h"

namespace dn {
namespace {

constexpr Key<UpsampleSpec> kKeys[] = {
    {"stride", &UpsampleSpec::stride, -64, 64, "enlargement; negative: reduction by summing stride x stride squares"},
    {"scale", &UpsampleSpec::scale, -1e6, 1e6, "factor on every value"},
};

constexpr int kMaxSide = 1 << 20;  // of an enlarged map; far beyond any network, far below an overflow

}  // namespace

std::unique_ptr<Upsample> Upsample::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Upsample> layer(new Upsample(section, index, problems));
  layer->spec_ = bind<UpsampleSpec>(section, kKeys, problems);
  if (layer->spec_.stride == 0) {
    problems.error(section, *section.find("stride"), "no size follows from it", "-64..-1 or 1..64");
    layer->spec_.stride = 1;
  }
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Upsample::keys() { return key_help<UpsampleSpec>(kKeys); }

Shape Upsample::output_shape(std::span<const Shape> in) const {
  Shape y = in[0];
  const int s = factor();
  if (enlarges()) {
    if (y.h > kMaxSide / s || y.w > kMaxSide / s)
      fail(section().where(), " stride = ", s, ": makes ", y.text(), " too large; expected at most ", kMaxSide, " on a side");
    y.h *= s;
    y.w *= s;
  } else {
    if (y.h < s || y.w < s) fail(section().where(), " stride = -", s, ": the input is only ", y.text(), "; expected at least ", s, " on a side");
    y.h /= s;
    y.w /= s;
  }
  return y;
}

double Upsample::forward_flops(std::span<const Shape> in) const {
  return static_cast<double>(enlarges() ? output_shape(in).count() : in[0].count());
}

std::string Upsample::summary(std::span<const Shape>) const {
  std::string text = enlarges() ? concat(factor(), "x") : concat("1/", factor(), " sum");
  if (spec_.scale != 1) text += concat("  scale ", spec_.scale);
  return text;
}

}  // namespace dn
