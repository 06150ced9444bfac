// Between the host's plain tensors and the device's channels-last ones, on the device.
#pragma once

#include "device/cuda/device.h"
#include "tensor/tensor.h"

namespace dn::cuda {

// from: dense planar FP32 [N,C,H,W] on the device. Padding channels become zero.
void planar_to_channels_last(Stream& stream, const float* from, const Tensor& to);
void channels_last_to_planar(Stream& stream, const Tensor& from, float* to);

// A channels-last tensor into another of its shape, which may have other strides and another precision.
void copy_tensor(Stream& stream, const Tensor& from, const Tensor& to, bool add);

}  // namespace dn::cuda
