// [maxpool]: the largest value of every size x size window (compatibility notes 4.5; the window: nn/pool_window.h).
//   y[c,i,j] = max of x[c] over the window's valid cells; of equal values the first in row order counts, also for the gradient
// Backward keeps the winner's place inside its window, one byte a value for size <= 15, two beyond; neither x nor y.
//
//   [maxpool]
//   size=2
//   stride=2
#pragma once

#include "nn/layer.h"
#include "nn/pool_window.h"

namespace dn {

using MaxpoolSpec = PoolWindow;

class Maxpool : public Layer {
 public:
  static std::unique_ptr<Maxpool> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Maxpool& layer, cpu::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const MaxpoolSpec& spec() const { return spec_; }  // every number resolved
  Shape output_shape(std::span<const Shape> in) const override { return spec_.output_shape(section(), in[0]); }
  double forward_flops(std::span<const Shape> in) const override;  // comparisons
  std::string summary(std::span<const Shape>) const override { return spec_.text(); }

 private:
  Maxpool(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  MaxpoolSpec spec_;
};

}  // namespace dn
