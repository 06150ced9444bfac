// One labelled object of one image. Coordinates are relative to the image (or to the network input after augmentation).
#pragma once

#include "image/box.h"

namespace dn {

struct TruthBox {
  Box box;
  int class_id = 0;
  bool operator==(const TruthBox& o) const {
    return box.x == o.box.x && box.y == o.box.y && box.w == o.box.w && box.h == o.box.h && class_id == o.class_id;
  }
};

}  // namespace dn
