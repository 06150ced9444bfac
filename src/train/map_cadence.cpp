#include "train/map_cadence.h"

#include <algorithm>

namespace dn {

MapCadence::MapCadence(const NetSpec& net, size_t train_images, double epochs, int64_t start)
    : period_(std::max<int64_t>(100, static_cast<int64_t>(epochs * static_cast<double>(train_images) / net.batch))),
      burn_in_(net.burn_in),
      end_(net.max_batches),
      next_(0) {
  done(start);
}

void MapCadence::done(int64_t iteration) {
  next_ = std::max(iteration + period_, burn_in_);
  if (iteration < end_) next_ = std::min(next_, end_);
}

}  // namespace dn
