#include "layers/gaussian_yolo/gaussian_yolo.h"
#include "layers/gaussian_yolo/gaussian_yolo_loss.h"

namespace dn {

std::unique_ptr<Kernel> GaussianYolo::compile_cpu(const GaussianYolo& layer, cpu::Device& device, const KernelArgs& args) {
  return compile_anchor_head_cpu(layer, device, args, gaussian_yolo_image_loss);
}

}  // namespace dn
