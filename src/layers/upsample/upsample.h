// [upsample]: nearest-neighbour enlargement, or with a negative stride a reduction by summing (compatibility notes 4.7).
//   stride s > 0:  y[c,i,j] = scale * x[c, i/s, j/s]                          y is s times as wide and high
//   stride s < 0:  y[c,i,j] = scale * sum of x over the |s| x |s| square      y is |s| times as small; a rest of rows or columns is left out
// Backward keeps nothing: each form is the other's transpose.
//
//   [upsample]
//   stride=2
#pragma once

#include "nn/layer.h"

namespace dn {

struct UpsampleSpec {
  int stride = 2;
  float scale = 1;
};

class Upsample : public Layer {
 public:
  static std::unique_ptr<Upsample> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Upsample& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Upsample& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const UpsampleSpec& spec() const { return spec_; }
  int factor() const { return spec_.stride < 0 ? -spec_.stride : spec_.stride; }
  bool enlarges() const { return spec_.stride > 0; }
  Shape output_shape(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;

 private:
  Upsample(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  UpsampleSpec spec_;
};

}  // namespace dn
