// The order in which the mini-batches of a batch go forward and backward. Most normalizations need one round; those whose statistics must be met before
// they are used take two: forward only over all mini-batches, then forward and backward (norm_scope = twopass; norm_grad = exact, whose second round
// runs from the last mini-batch to the first). And, with dynamic_minibatch, into how many mini-batches an input size cuts the batch.
#pragma once

#include <vector>

#include "config/net_spec.h"
#include "data/batch_layout.h"
#include "nn/kernel.h"
#include "train/resizer.h"

namespace dn {

struct BatchStep {
  int mini_batch = 0;
  Pass::Stage stage = Pass::Stage::only;
  bool backward = true;
  Write param_grads = Write::overwrite;   // the first backward of a batch overwrites
};

std::vector<BatchStep> batch_schedule(const NetSpec& net, int parts);
inline std::vector<BatchStep> batch_schedule(const NetSpec& net) { return batch_schedule(net, net.parts()); }

// What the passes of a batch have in common.
struct BatchFacts {
  int mini_batch = 1, parts = 1;   // images, mini-batches
  uint64_t iteration = 0, seed = 0;
  std::span<const std::vector<TruthBox>> truth;   // of all images
  BatchLayout layout;
};
// For a network whose weights' version and whose device's loss scale are to be put in.
Pass pass_of(const BatchStep& step, const BatchFacts& batch);

// Images of a mini-batch at `size`. With dynamic_minibatch the largest divisor of batch whose pixels are at most 0.8 of those of an ordinary
// mini-batch at the `largest` size, and not below the ordinary one; mini-batches of sequences stay as they are. (The family enlarges the batch of
// the update with it; here that stays.)
int mini_batch_at(const NetSpec& net, NetSize size, NetSize largest);

}  // namespace dn
