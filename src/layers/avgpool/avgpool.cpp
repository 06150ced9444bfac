// [avgpool]: parsing. See avgpool.h.
#include "layers/avgpool/avgpool.h"

namespace dn {

std::unique_ptr<Avgpool> Avgpool::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Avgpool> layer(new Avgpool(section, index, problems));
  finish(section, problems);
  return layer;
}

}  // namespace dn
