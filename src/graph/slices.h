// Which outputs and gradients lie inside another layer's tensor, so that concatenations, channel groups and residual sums cost no copy. Pure; derived
// once per plan.
#pragma once

#include <vector>

#include "graph/wiring.h"

namespace dn {

// Where the output (or the gradient) of a layer lies: in that of layer `home`, from channel `channel` on. Its own: home is the layer, channel 0.
struct Slice {
  int home = 0;
  int channel = 0;
};

struct SliceOptions {
  bool training = false;
  bool enabled = true;   // false: every layer at home
  int block = 16;        // of the channels
  // How the device stores tensors (TensorDesc). Then the pixels of a slice lie apart, and one image alone is no dense tensor either; and what a loss
  // reads may be stored wider than the rest, so that neither can lie in the other.
  bool channels_last = false;
  bool sums = false;       // kernels can finish sums (Layer::finishes_sums)
};

// Per layer. A gradient may be a slice where the output is not: convolutions add to one, but cannot read one.
struct Slices {
  std::vector<Slice> outputs, gradients;
  // Of a layer that finishes a sum: the sum's other source. Its output is the whole of the sum's then. kNetworkInput: it finishes none.
  std::vector<int> residual;
  std::vector<bool> made;       // of a sum: some layer finishes it
  std::vector<bool> keeps_dy;   // KernelArgs::keeps_dy
};

// Takes the gradients that need no copy then out of `wiring`.
Slices place_slices(const Network& network, const std::vector<Shape>& outputs, const SliceOptions& options, Wiring& wiring);

}  // namespace dn
