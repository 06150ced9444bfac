// Shared by the training and the inference kernel of [convolutional] on the CPU.
#pragma once

#include "device/cpu/onednn.h"
#include "layers/convolutional/convolutional.h"
#include "nn/norm.h"

namespace dn {

cpu::ConvShape conv_shape(const Convolutional& layer, const KernelArgs& args);
std::unique_ptr<Kernel> compile_conv_training(const Convolutional& layer, cpu::Device& device, const KernelArgs& args);
std::unique_ptr<Kernel> compile_conv_inference(const Convolutional& layer, cpu::Device& device, const KernelArgs& args);

// The parameters by name; order as in Convolutional::params.
struct ConvParams {
  NormParams norm;   // without normalization only beta (the bias)
  ParamView weights;
};
ConvParams conv_params(const Convolutional& layer, const Io& io);

// Whether other weights are convolved than those that are learned; puts them, standardized or signs, into `out`.
inline bool makes_weights(const Convolutional& layer) { return layer.norm().standardize || layer.signs(); }
void make_weights(const Convolutional& layer, std::span<const float> weights, std::span<float> out);

}  // namespace dn
