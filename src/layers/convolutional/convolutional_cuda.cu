// [convolutional] on a GPU: nn/cuda/conv_kernel.h, where nothing stands around the convolution that has no kernels there.
#include "layers/convolutional/convolutional.h"
#include "nn/cuda/conv_kernel.h"

namespace dn {
namespace {

bool has_steps_of_the_cpu(const Convolutional& layer) {
  return layer.antialias() || layer.signs() || layer.spec().xnor || layer.channel_activation() != ChannelActivation::none ||
         layer.spec().assisted_excitation > 0 || layer.norm().standardize;
}

// The weights are the last of the parameters.
cuda::ConvLayer conv_layer(const Convolutional& layer, const Shape& in) {
  const ConvolutionalSpec& s = layer.spec();
  return {.norm = layer.norm(), .activation = layer.activation(), .size = s.size, .stride_x = s.stride_x, .stride_y = s.stride_y, .padding = s.padding,
          .dilation = s.dilation, .groups = s.groups, .weights = layer.params(std::span(&in, 1)).size() - 1, .norm_params = 1};
}

}  // namespace

bool Convolutional::finishes_sums(const Shape& in) const {
  return !has_steps_of_the_cpu(*this) && cuda::has_conv_kernel(conv_layer(*this, in), in, spec_.filters, false);
}

std::unique_ptr<Kernel> Convolutional::compile_cuda(const Convolutional& layer, cuda::Device& device, const KernelArgs& args) {
  if (has_steps_of_the_cpu(layer)) return nullptr;
  if (layer.norm().batch_statistics() && args.training && !args.frozen) check_statistics(layer, args.y.shape);
  return cuda::conv_kernel(conv_layer(layer, args.x[0].shape), device, args);
}

}  // namespace dn
