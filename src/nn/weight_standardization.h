// Weight standardization (Qiao et al. 2019): the weights w of each filter enter the convolution as  (w - mean w) / sqrt(var w + 1e-5).
//   dw = s (d - mean d - w' mean(d w'))  with d the gradient of w'     (normalization notes, section 7)
// In double; weights are [filters, Q].
#pragma once

#include <span>

#include "nn/kernel.h"

namespace dn {

void standardize(std::span<const float> weights, size_t filters, std::span<float> out);
// gradient: of the standardized weights; delivered into `out`, of the weights.
void standardize_backward(std::span<const float> weights, size_t filters, std::span<const float> gradient, Write mode, std::span<float> out);

}  // namespace dn
