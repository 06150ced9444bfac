// [avgpool]: the mean of every channel over the whole map, [N,C,H,W] -> [N,C,1,1] (compatibility notes 4.6). No keys.
//   y[c] = sum of x[c,i,j] / (H W);   dx[c,i,j] = dy[c] / (H W).   Backward keeps nothing.
//
//   [avgpool]
#pragma once

#include "nn/layer.h"

namespace dn {

class Avgpool : public Layer {
 public:
  static std::unique_ptr<Avgpool> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Avgpool& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Avgpool& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys() { return {}; }

  Shape output_shape(std::span<const Shape> in) const override { return {in[0].n, in[0].c, 1, 1}; }
  double forward_flops(std::span<const Shape> in) const override { return static_cast<double>(in[0].count()); }
  std::string summary(std::span<const Shape> in) const override { return concat("mean of ", in[0].w, " x ", in[0].h); }

 private:
  Avgpool(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
};

}  // namespace dn
