// Numbers from one storage into another.
#pragma once

#include "device/cuda/stream.h"

namespace dn::cuda {

// `count` dense numbers, a multiple of 8, 16-byte aligned on both sides.
void convert(Stream& stream, const void* from, DType from_type, void* to, DType to_type, size_t count);

}  // namespace dn::cuda
