// Which outputs lie inside another layer's tensor, so that concatenations and channel groups cost no copy. Pure; derived once per plan.
#pragma once

#include <vector>

#include "graph/wiring.h"

namespace dn {

// Where the output of a layer lies: in the tensor of layer `home`, from channel `channel` on. Its own: home is the layer itself, channel 0.
struct Slice {
  int home = 0;
  int channel = 0;
};

struct SliceOptions {
  bool training = false;
  int block = 16;        // of the channels
};

// Decides for every layer, and takes the gradients that then need no copy out of `wiring`: the gradient of a slice is the slice of the gradient.
std::vector<Slice> place_slices(const Network& network, const std::vector<Shape>& outputs, const SliceOptions& options, Wiring& wiring);

}  // namespace dn
