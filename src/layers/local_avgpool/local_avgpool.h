// [local_avgpool]: the mean over every size x size window (compatibility notes 4.5; the window: nn/pool_window.h).
//   y[c,i,j] = sum of x[c] over the window's valid cells / number of them;   dx = the exact derivative: every cell gets dy / number from each of its
//   windows (the family divides by other numbers there, differently on CPU and GPU). Backward keeps nothing.
// With antialiasing windows step by 1, and a blur behind them by stride (nn/antialias.h).
//
//   [local_avgpool]
//   size=4
//   stride=4
#pragma once

#include "nn/antialias.h"
#include "nn/layer.h"
#include "nn/pool_window.h"

namespace dn {

struct LocalAvgpoolSpec : PoolWindow {
  int antialiasing = 0;
};

class LocalAvgpool : public Layer {
 public:
  static std::unique_ptr<LocalAvgpool> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const LocalAvgpool& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const LocalAvgpool& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const PoolWindow& window() const { return window_; }  // every number resolved
  const Antialias& antialias() const { return antialias_; }
  Shape pooled_shape(const Shape& in) const { return window_.output_shape(section(), in); }   // before the blur
  Shape output_shape(std::span<const Shape> in) const override { return antialias_.output_shape(section(), pooled_shape(in[0])); }
  double forward_flops(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape>) const override { return window_.text() + antialias_.text(); }

 private:
  LocalAvgpool(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  PoolWindow window_;
  Antialias antialias_;
};

}  // namespace dn
