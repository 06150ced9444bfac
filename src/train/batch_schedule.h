// The order in which the mini-batches of a batch go forward and backward. Most normalizations need one round; those whose statistics must be met before
// they are used take two: forward only over all mini-batches, then forward and backward (norm_scope = twopass; norm_grad = exact, whose second round
// runs from the last mini-batch to the first).
#pragma once

#include <vector>

#include "config/net_spec.h"
#include "nn/kernel.h"

namespace dn {

struct BatchStep {
  int mini_batch = 0;
  Pass::Stage stage = Pass::Stage::only;
  bool backward = true;
  Write param_grads = Write::overwrite;   // the first backward of a batch overwrites
};

std::vector<BatchStep> batch_schedule(const NetSpec& net);

}  // namespace dn
