// The channels that a tensor has beyond its own.
#pragma once

#include "device/cuda/stream.h"
#include "tensor/tensor.h"

namespace dn::cuda {

// Sets them to zero: for kernels that write single channels.
void zero_padding(Stream& stream, const Tensor& tensor);

}  // namespace dn::cuda
