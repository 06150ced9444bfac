// Who reads whom, where gradients flow, who overwrites and who accumulates. Pure; derived from a network, once per plan.
#pragma once

#include <vector>

#include "graph/network.h"

namespace dn {

struct Wiring {
  std::vector<std::vector<int>> sources;   // per layer, as Layer::sources
  std::vector<int> root;                   // per layer: the layer whose tensor its output is (itself, or through views; kNetworkInput possible)
  std::vector<bool> backward;              // per layer: takes part in backward
  std::vector<std::vector<Write>> dx;      // per layer and source
  int root_of(int source) const { return source == kNetworkInput ? kNetworkInput : root[static_cast<size_t>(source)]; }
};

// Layers with an index below `frozen` learn no parameters.
Wiring wire(const Network& network, bool training, int frozen);
// The caller reads its output, as the embedding of a head's detections (Head::embedding_layer).
bool is_embedding(const Network& network, const Wiring& wiring, int layer);

}  // namespace dn
