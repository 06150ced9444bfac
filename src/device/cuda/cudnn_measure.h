// The fastest of several plans, by time on the GPU.
#pragma once

#include <memory>
#include <span>

#include "device/cuda/cudnn_graph.h"

namespace dn::cuda::cudnn {

// Its index: each runs three times to warm up and then five times, of which the median counts. On memory of its own; throws Error where there is not
// enough of it, or where none of them runs.
size_t fastest(Stream& stream, std::span<const std::unique_ptr<Plan>> plans, const ConvProblem& problem);

}  // namespace dn::cuda::cudnn
