// What bodies that make eight channels of a pixel have in common.
#pragma once

#include "device/cuda/view.h"

namespace dn::cuda {

struct EightPlace {
  size_t pixel = 0;
  int channel = 0;   // the first of the eight
};

// Of item i in [0, v.eights()): neighbouring items are neighbours in memory.
DN_HD inline EightPlace eight_place(const View& v, size_t i) {
  const size_t groups = static_cast<size_t>(v.groups());
  return {i / groups, static_cast<int>(i % groups) * kEight};
}

DN_HD inline size_t plane_of(const View& v) { return static_cast<size_t>(v.h) * static_cast<size_t>(v.w); }

// Of what is computed from zeros without being one, as logistic(0).
DN_HD inline void clear_padding(Eight& value, int channel, int channels) {
  for (int k = 0; k < kEight; ++k)
    if (channel + k >= channels) value.v[k] = 0;
}

DN_HD inline void put_eight(const View& to, size_t offset, const Eight& value, bool add) {
  if (add)
    to.add_eight(offset, value);
  else
    to.set_eight(offset, value);
}

}  // namespace dn::cuda
