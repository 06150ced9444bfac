// What a network computes from its weights, in one number: a file of weights carries it, so that a cfg under which every tensor fits but the result is
// another (a stride, an activation, a [route], anchors) does not pass unnoticed.
#pragma once

#include <climits>
#include <cstdint>

#include "graph/network.h"

namespace dn {

// A canonical listing of the first `layers` sections: type, layers read, why .weights cannot express it (which names the normalization), then the keys that
// change what comes out, sorted by name, with the values that differ from their defaults; norm keys of [net] stand with the layers that know them. Left
// out: comments, order and spelling of numbers, everything of [net] else, keys of training, unknown keys. Names and shapes of tensors are compared where
// they are read. Another way to write the same (pad = 1 for padding = 1) counts as another structure.
std::string structure_listing(const Network& network, int layers = INT_MAX);

uint64_t structure_hash(const Network& network, int layers = INT_MAX);  // FNV-1a, 64 bits, of the listing

}  // namespace dn
