// [cost]: a classifier's loss against class targets (compatibility notes 4.16). At inference y = x.
// Detector training has no class targets: a training plan with this layer is refused with an Error, so there is no backward, and type, scale and
// ratio, which shape the loss, are checked but have nothing to act on.
//
//   [cost]
//   type=sse
#pragma once

#include "nn/layer.h"

namespace dn {

struct CostSpec {
  std::string type = "sse";
  float scale = 1, ratio = 0;
};

class Cost : public Layer {
 public:
  static std::unique_ptr<Cost> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Cost& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Cost& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Shape output_shape(std::span<const Shape> in) const override { return in[0]; }
  std::string summary(std::span<const Shape> in) const override;

 private:
  Cost(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  CostSpec spec_;
};

}  // namespace dn
