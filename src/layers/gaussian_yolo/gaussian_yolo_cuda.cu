// [Gaussian_yolo] on a GPU.
#include "layers/gaussian_yolo/gaussian_yolo.h"
#include "layers/gaussian_yolo/gaussian_yolo_loss.h"
#include "nn/cuda/anchor_kernel.h"

namespace dn {

std::unique_ptr<Kernel> GaussianYolo::compile_cuda(const GaussianYolo& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<cuda::TaughtAnchorKernel<GaussianTeaching>>(layer, device, args);
}

}  // namespace dn
