// What is measured of the gradient that a head gives its output, and which entries of it are left out (label_rejection.h says why): for the host and for
// GPU kernels.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/host_device.h"

namespace dn {

// Of the entries of one image's gradient, before any is left out.
struct DeltaSums {
  double sum = 0, squares = 0, largest = 0;  // of |delta|
  double count = 0;                          // not 0
  double too_large = 0, left_out = 0;        // above the percentage's threshold; all that became 0

  DN_HD DeltaSums& operator+=(const DeltaSums& other) {
    sum += other.sum;
    squares += other.squares;
    largest = std::max(largest, other.largest);
    count += other.count;
    too_large += other.too_large;
    left_out += other.left_out;
    return *this;
  }
};

struct RejectionBounds {
  float above = 0, below = 0;  // |delta| > above or < below becomes 0
  float threshold = 0;         // the percentage's part in `above`
};

// Counts one entry; what is to stand in its place.
DN_HD inline float reject_entry(float value, const RejectionBounds& bounds, DeltaSums& sums) {
  if (value == 0) return value;
  const float size = std::fabs(value);
  const auto wide = static_cast<double>(size);
  sums.sum += wide;
  sums.squares += wide * wide;
  sums.largest = std::max(sums.largest, wide);
  ++sums.count;
  sums.too_large += size > bounds.threshold;
  if (!(size > bounds.above || size < bounds.below)) return value;
  ++sums.left_out;
  return 0;
}

}  // namespace dn
