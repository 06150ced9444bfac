// [maxpool]: the largest value of every size x size window (compatibility notes 4.5).
//   padding is the TOTAL over both sides (default size - 1): out = (in + padding - size) / stride + 1, window i starts at i * stride - padding / 2
//   y[c,i,j] = max of x[c] over the window's valid cells; of equal values the first in row order counts, also for the gradient
// Backward keeps the winner's place inside its window, one byte a value for size <= 15, two beyond; neither x nor y.
//
//   [maxpool]
//   size=2
//   stride=2
#pragma once

#include "nn/layer.h"

namespace dn {

struct MaxpoolSpec {
  int stride = 1;
  int stride_x = 0, stride_y = 0;  // 0 in the cfg's absence: stride
  int size = 0;                    // likewise: stride
  int padding = -1;                // likewise: size - 1
};

class Maxpool : public Layer {
 public:
  static std::unique_ptr<Maxpool> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Maxpool& layer, cpu::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const MaxpoolSpec& spec() const { return spec_; }  // every number resolved
  int offset() const { return spec_.padding / 2; }   // how far the first window starts before the map
  Shape output_shape(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override;  // comparisons
  std::string summary(std::span<const Shape> in) const override;

 private:
  Maxpool(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  MaxpoolSpec spec_;
};

}  // namespace dn
