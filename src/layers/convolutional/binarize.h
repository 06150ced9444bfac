// xnor and binary of [convolutional] (compatibility notes 4.1; Rastegari et al. 2016), computed in floats:
//   w'_o = (w > 0 ? 1 : -1) mean |w_o| per filter o;     with xnor also   x' = x > 0 ? 1 : -1;     y = conv(x', w'), its border zero
// Gradients go straight through: dw = dw', and dx = dx' where -1 < x < 1, else 0 (the slope of hardtan). A weights file holds w.
#pragma once

#include <memory>
#include <span>

#include "nn/kernel.h"

namespace dn {

namespace cpu {
class Device;
}

// out: w' of the weights [filters, ...].
void binarize_weights(std::span<const float> weights, size_t filters, std::span<float> out);
// x -> x'.
std::unique_ptr<Kernel> compile_binarize(cpu::Device& device, const KernelArgs& args);

}  // namespace dn
