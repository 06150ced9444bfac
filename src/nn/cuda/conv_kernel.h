// What a convolution is on a GPU, with normalization and activation behind it: for the layers that are one, or can be seen as one.
#pragma once

#include "device/cuda/device.h"
#include "nn/activation.h"
#include "nn/norm.h"

namespace dn::cuda {

struct ConvLayer {
  NormSpec norm;
  Activation activation = Activation::linear;
  int size = 1, stride_x = 1, stride_y = 1, padding = 0, dilation = 1, groups = 1;
  // Of the layer's parameters: the weights, OIHW; the first of the normalization's. The biases are number 0.
  size_t weights = 1, norm_params = 1;
};

// Not for some normalizations (has_norm), nor for groups of channels that are no multiple of eight. constant: as has_norm.
bool has_conv_kernel(const ConvLayer& layer, const Shape& in, int filters, bool constant);
// Null: has_conv_kernel says so.
std::unique_ptr<Kernel> conv_kernel(const ConvLayer& layer, Device& device, const KernelArgs& args);

}  // namespace dn::cuda
