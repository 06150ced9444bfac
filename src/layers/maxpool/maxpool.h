// [maxpool]: the largest value of every size x size window (compatibility notes 4.5; the window: nn/pool_window.h).
//   y[c,i,j] = max of x[c] over the window's valid cells; of equal values the first in row order counts, also for the gradient
// Backward keeps the winner's place inside its window, one byte a value for size <= 15, two beyond (a GPU: see maxpool_cuda.cu); neither x nor y.
// With maxpool_depth=1 there is no window, the maximum goes over channels, and backward keeps which (four bytes a value):
//   y[g,i,j] = max of x[k,i,j] over k = g, g + out_channels, g + 2 out_channels, ...; of equal values the first counts
// With antialiasing windows step by 1, and a blur behind them by stride (nn/antialias.h).
//
//   [maxpool]
//   size=2
//   stride=2
#pragma once

#include "nn/antialias.h"
#include "nn/layer.h"
#include "nn/pool_window.h"

namespace dn {

struct MaxpoolSpec : PoolWindow {
  bool maxpool_depth = false;
  int out_channels = 1;  // with maxpool_depth
  int antialiasing = 0;
};

class Maxpool : public Layer {
 public:
  static std::unique_ptr<Maxpool> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Maxpool& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Maxpool& layer, cuda::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_depth_cpu(cpu::Device& device, const KernelArgs& args);   // with maxpool_depth
  static std::unique_ptr<Kernel> compile_depth_cuda(cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const MaxpoolSpec& spec() const { return spec_; }  // every number resolved
  const Antialias& antialias() const { return antialias_; }
  Shape pooled_shape(const Shape& in) const;                         // before the blur
  Shape output_shape(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override;  // comparisons
  std::string summary(std::span<const Shape> in) const override;

 private:
  Maxpool(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  MaxpoolSpec spec_;
  Antialias antialias_;
};

}  // namespace dn
