// When a training measures its mAP.
#pragma once

#include <cstdint>

#include "config/net_spec.h"

namespace dn {

// In-training mAP of the family: every max(100, epochs' worth of) iterations after the last one, not before burn-in ends, and at the end.
class MapCadence {
 public:
  MapCadence(const NetSpec& net, size_t train_images, double epochs, int64_t start);
  bool due(int64_t iteration) const { return iteration >= next_; }
  void done(int64_t iteration);
  int64_t next() const { return next_; }

 private:
  int64_t period_, burn_in_, end_, next_;
};

}  // namespace dn
