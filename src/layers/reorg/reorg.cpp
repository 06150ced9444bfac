// [reorg], [reorg3d]: keys, shapes, the permutation. See reorg.h.
#include "layers/reorg/reorg.h"

namespace dn {
namespace {

constexpr Key<ReorgSpec> kKeys[] = {
    {"stride", &ReorgSpec::stride, 1, 64, "side of the squares"},
    {"reverse", &ReorgSpec::reverse, 0, 1, "1: channels become squares of pixels"},
};

constexpr int kMaxSide = 1 << 20;      // of an enlarged map; far beyond any network, far below an overflow
constexpr int kMaxChannels = 1 << 24;  // of a deepened one, likewise

}  // namespace

std::unique_ptr<Reorg> Reorg::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Reorg> layer(new Reorg(section, index, problems));
  layer->spec_ = bind<ReorgSpec>(section, kKeys, problems);
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Reorg::keys() { return key_help<ReorgSpec>(kKeys); }

Shape Reorg::output_shape(std::span<const Shape> in) const {
  const Shape& x = in[0];
  const int s = spec_.stride, square = s * s;
  const std::string place = concat(section().where(), " stride = ", s, ": the input is ", x.text());
  if ((spec_.reverse || flat()) && x.c % square != 0) fail(place, "; expected a multiple of ", square, " channels");
  if (spec_.reverse) {
    if (x.h > kMaxSide / s || x.w > kMaxSide / s) fail(place, ", too large; expected at most ", kMaxSide, " on a side after enlargement");
    return {x.n, x.c / square, x.h * s, x.w * s};
  }
  if (x.h % s != 0 || x.w % s != 0) fail(place, "; expected a width and height that are multiples of ", s);
  if (x.c > kMaxChannels / square) fail(place, ", too deep; expected at most ", kMaxChannels / square, " channels");
  return {x.n, x.c * square, x.h / s, x.w / s};
}

Reorg::Row Reorg::row_in_large(const Shape& large, int k, int j) const {
  const int s = spec_.stride;
  if (!flat()) {
    const int o = k / large.c;
    return {k % large.c, j * s + o / s, o % s};
  }
  // Element (k, j, 0) of y as an element (channel, row, column) of deep = [c, h, w], from there its place in wide = [c / s^2, s h, s w], and that
  // one's in x. A row of y is one s-th of a row of deep, which is met by one whole row of x: so it is a row there, too.
  const size_t w = static_cast<size_t>(large.w), h = static_cast<size_t>(large.h), step = static_cast<size_t>(s);
  const size_t at = w / step * (static_cast<size_t>(j) + h / step * static_cast<size_t>(k));
  const size_t column = at % w, row = at / w % h, channel = at / (w * h);
  const size_t channels = static_cast<size_t>(large.c) / (step * step), o = channel / channels;
  const size_t wide = column * step + o % step + w * step * (row * step + o / step + h * step * (channel % channels));
  return {static_cast<int>(wide / (w * h)), static_cast<int>(wide / w % h), static_cast<int>(wide % w)};
}

std::string Reorg::summary(std::span<const Shape>) const { return concat(spec_.reverse ? "x" : "/", spec_.stride); }

}  // namespace dn
