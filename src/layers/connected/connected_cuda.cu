// [connected] on a GPU: a convolution as large as its input, which has W in the very order of the file, [output, C, H, W]. A map that is not square is left to the CPU.
#include "layers/connected/connected.h"
#include "nn/cuda/conv_kernel.h"

namespace dn {

std::unique_ptr<Kernel> Connected::compile_cuda(const Connected& layer, cuda::Device& device, const KernelArgs& args) {
  const Shape& in = args.x[0].shape;
  if (in.h != in.w) return nullptr;
  if (layer.norm().batch_statistics() && args.training && !args.frozen) check_statistics(layer, args.y.shape);
  return cuda::conv_kernel({.norm = layer.norm(), .activation = layer.activation(), .size = in.h, .weights = 1, .norm_params = 2}, device, args);
}

}  // namespace dn
