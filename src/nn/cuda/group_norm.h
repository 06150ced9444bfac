// Group normalization on a GPU; formulas: nn/group_norm.h.
#pragma once

#include "nn/cuda/norm.h"

namespace dn::cuda {

std::unique_ptr<Norm> make_group_norm(const NormSpec& spec, const TensorDesc& desc, Activation activation, Device& device);

}  // namespace dn::cuda
