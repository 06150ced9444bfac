#include "layers/history/history.h"

namespace dn {
namespace {

constexpr Key<HistorySpec> kKeys[] = {
    {"history_size", &HistorySpec::history_size, 1, 1024, "frames side by side, this one included"},
};
constexpr int64_t kMaxChannels = 1 << 20;

}  // namespace

std::unique_ptr<History> History::parse(const Section& section, const NetSpec& net, int index, Problems& problems) {
  std::unique_ptr<History> layer(new History(section, index, problems));
  layer->spec_ = bind<HistorySpec>(section, kKeys, problems);
  finish(section, problems);
  layer->spec_.time_steps = net.time_steps;
  return layer;
}

std::vector<KeyHelp> History::keys() { return key_help<HistorySpec>(kKeys); }

Shape History::output_shape(std::span<const Shape> in) const {
  Shape y = in[0];
  if (int64_t{y.c} * spec_.history_size > kMaxChannels)
    fail(section().where(), " history_size = ", spec_.history_size, ": times the ", y.c, " channels of ", above(), ": expected at most ",
         kMaxChannels, " channels");
  y.c *= spec_.history_size;
  return y;
}

}  // namespace dn
