// The convolutions of one number of images in all three directions, with the weights packed as each wants them. A kernel of many images runs a few of
// these one after another: what oneDNN needs beside the tensors grows with the images, and the gradient of the weights adds up.
//   scratch   weights in the format the primitive wants, its scratchpad, a temporary where a gradient must be added
// Weights are repacked at every call: a pack moves the weights once, which is nothing beside the convolution, and no copy stays in memory.
#pragma once

#include "layers/convolutional/convolutional_cpu.h"

namespace dn {

class ConvImages {
 public:
  // args.x[0] and args.y describe these images only, both dense. bias: the convolution adds it.
  ConvImages(const Convolutional& layer, cpu::Device& device, const KernelArgs& args, bool bias);

  size_t forward_scratch() const;
  size_t backward_scratch() const;
  void forward(const float* x, const ConvParams& params, float* out, std::byte* scratch) const;
  // Overwrites or adds to params.weights.grad.
  void weights_gradient(const float* x, const float* dz, const ConvParams& params, bool add, std::byte* scratch) const;
  // dx: as many images, which may lie apart when it is added to. Not called where KernelArgs::dx is Write::none.
  void input_gradient(const float* dz, const ConvParams& params, const Tensor& dx, std::byte* scratch) const;

 private:
  size_t packed_bytes(const cpu::ConvPrimitive& conv) const;
  size_t temporary_bytes() const { return args_.dx[0] == Write::accumulate ? args_.x[0].bytes() : 0; }
  const float* packed(const cpu::ConvPrimitive& conv, const cpu::Reorder& pack, std::span<const float> weights, std::byte*& scratch) const;
  dnnl::memory scratchpad(const cpu::ConvPrimitive& conv, std::byte* at) const;
  void execute(const cpu::ConvPrimitive& conv, const std::unordered_map<int, dnnl::memory>& arguments) const;

  cpu::Device& device_;
  KernelArgs args_;
  bool bias_;
  dnnl::memory::desc plain_, bias_desc_;
  cpu::ConvPrimitive forward_, data_, weights_;
  cpu::Reorder pack_forward_, pack_data_, unpack_, unpack_and_add_;
};

}  // namespace dn
