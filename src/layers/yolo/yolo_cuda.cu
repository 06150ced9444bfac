// [yolo] on a GPU.
#include "layers/yolo/yolo.h"
#include "layers/yolo/yolo_loss.h"
#include "nn/cuda/anchor_kernel.h"

namespace dn {

std::unique_ptr<Kernel> Yolo::compile_cuda(const Yolo& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<cuda::TaughtAnchorKernel<YoloTeaching>>(layer, device, args);
}

}  // namespace dn
