// Noise of a camera: to every value of planar floats in 0..1 a normal number is added, and the sum is cut to 0..1.
//   n(i) = deviation sqrt(-2 ln u1) cos(2 pi u2)   (Box and Muller),  u1, u2: 24 bits each of a hash of (key, i), i the value's number in the view
// A value's noise depends on the key and its place only.
#pragma once

#include "image/resize.h"

namespace dn {

void add_noise(const PlanarView& view, int channels, float deviation, uint64_t key);
// The same in plain double arithmetic, for tests.
void add_noise_reference(const PlanarView& view, int channels, float deviation, uint64_t key);

}  // namespace dn
