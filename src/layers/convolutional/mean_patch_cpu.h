// The mean over images and places of the patches that a convolution's filters see, zeros beyond the border included: what dE[y]/dW is.
#pragma once

#include <vector>

#include "device/cpu/onednn.h"
#include "tensor/tensor.h"

namespace dn {

// [groups, channels / groups, size, size]
std::vector<float> mean_patch(int threads, const Tensor& x, const cpu::ConvShape& shape);

}  // namespace dn
