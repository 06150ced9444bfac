// One labelled object of one image. Coordinates are relative to the image (or to the network input after augmentation).
#pragma once

#include <cstdint>

#include "image/box.h"

namespace dn {

struct TruthBox {
  Box box;
  int class_id = 0;
  uint64_t track_id = 0;  // which object of the data set it is, the same in every sample that shows it; 0: unknown
  // The same label; whose it is does not matter.
  bool operator==(const TruthBox& o) const {
    return box.x == o.box.x && box.y == o.box.y && box.w == o.box.w && box.h == o.box.h && class_id == o.class_id;
  }
};

}  // namespace dn
