// [implicit]: learned values that depend on nothing (YOLOR's implicit knowledge), the same for every image (compatibility notes 4.12).
//   y[n, c, a] = w[c, a],   shape 1 x atoms x filters;   dw = sum_n dy
// The weights start uniform in mean +- std. Added or multiplied by [shortcut], [scale_channels] or [sam]. The family never trains them.
//
//   [implicit]
//   filters=256
//   mean=1
//   std=.02
#pragma once

#include "nn/layer.h"

namespace dn {

struct ImplicitSpec {
  double mean = 0, std = .2;
  int filters = 128, atoms = 1;
};

class Implicit : public Layer {
 public:
  static std::unique_ptr<Implicit> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Implicit& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Implicit& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  std::vector<int> sources() const override { return {kNetworkInput}; }  // for the number of images only
  Shape output_shape(std::span<const Shape> in) const override { return {in[0].n, spec_.filters, spec_.atoms, 1}; }
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape>) const override { return concat(spec_.filters, " x ", spec_.atoms); }

 private:
  using Layer::Layer;
  ImplicitSpec spec_;
};

}  // namespace dn
