// What the formats of weights, .weights and .safetensors, agree on.
#pragma once

#include <cstddef>

#include "graph/network.h"

namespace dn {

// The layer's keys dontload or dontloadscales say that a file holds no such tensor.
bool left_out(const Layer& layer, const ParamSegment& segment);

// Values of a file: throws Error naming layer, tensor and index of one that is not finite, or of a running variance below 0.
void check_values(const std::string& file, const Layer& layer, const ParamSegment& segment, const std::byte* values);
// Values to be written, of the layers with an index below `layers`: throws Error when one is not finite.
void check_finite(const Network& network, const fs::path& file, int layers);

// The first layer that the .weights format cannot express, or nullptr.
const Layer* first_obstacle(const Network& network);

}  // namespace dn
