// The optimizer that a cfg asks for: [net] and the keys of each layer about its updates.
#pragma once

#include "graph/network.h"
#include "train/optimizer.h"

namespace dn {

// Keys of a layer that can do nothing there (clip without weights, grad_centr without normalization) are a warning each.
OptimizerOptions optimizer_options(const Network& network, int threads);

}  // namespace dn
