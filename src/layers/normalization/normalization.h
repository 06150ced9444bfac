// [normalization], [lrn]: local response normalization, over neighbouring channels of a pixel (compatibility notes 4.17).
//   y_c = x_c n_c^-beta,   n_c = kappa + alpha (sum of x_k^2 over k = c - (size-1)/2 .. c + size/2  -  x_m^2),   m = size/2; what is no channel counts 0
// The subtracted x_m^2, of one and the same channel m for every c, is the family's: its running sum over the windows starts one channel short and is
// never made up. It is kept because weights were trained with it. n_c must stay positive; it is not a number otherwise, there as here.
//   dx_c = dy_c n_c^-beta - 2 alpha beta x_c (sum of t_k over the windows k that hold c  -  [c = m] sum of all t_k),   t_k = dy_k x_k n_k^(-beta-1)
// the exact derivative (the family leaves the second part out). Backward needs x.
//
//   [normalization]
//   alpha=0.0001
//   size=5
#pragma once

#include "nn/layer.h"

namespace dn {

struct NormalizationSpec {
  float alpha = 1e-4f, beta = .75f, kappa = 1;
  int size = 5;
};

class Normalization : public Layer {
 public:
  static std::unique_ptr<Normalization> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Normalization& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Normalization& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const NormalizationSpec& spec() const { return spec_; }
  int before() const { return (spec_.size - 1) / 2; }  // channels of a window before its own
  int after() const { return spec_.size / 2; }         // and behind; also m
  Shape output_shape(std::span<const Shape> in) const override { return in[0]; }
  double forward_flops(std::span<const Shape> in) const override { return static_cast<double>(in[0].count()) * 2 * spec_.size; }
  std::string summary(std::span<const Shape>) const override { return concat("over ", spec_.size, " channels"); }

 private:
  Normalization(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  NormalizationSpec spec_;
};

}  // namespace dn
