#include "layers/yolo/yolo.h"
#include "layers/yolo/yolo_loss.h"

namespace dn {

std::unique_ptr<Kernel> Yolo::compile_cpu(const Yolo& layer, cpu::Device& device, const KernelArgs& args) {
  return compile_anchor_head_cpu(layer, device, args, yolo_image_loss);
}

}  // namespace dn
