// [sam]: attention for every value: an earlier layer is multiplied element by element by the layer before (compatibility notes 4.11).
//   y = f(x * a),   x = layer `from`, a = the layer before; all three of one shape.   dz = dy f'(x a), dx = dz a, da = dz x
// Backward needs x and a.
//
//   [sam]
//   from=-2
#pragma once

#include "nn/activation.h"
#include "nn/layer.h"

namespace dn {

struct SamSpec {
  int from = -2;  // as written; negative counts back
  std::string activation = "linear";
};

class Sam : public Layer {
 public:
  static std::unique_ptr<Sam> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Sam& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Sam& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Activation activation() const { return activation_; }
  std::vector<int> sources() const override { return sources_; }
  Shape output_shape(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override { return static_cast<double>(in[0].count()); }
  std::string summary(std::span<const Shape>) const override { return concat("x ", sources_[1], "  ", activation_name(activation_)); }

 private:
  Sam(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  std::vector<int> sources_;  // the layer before, then `from`
  Activation activation_ = Activation::linear;
};

}  // namespace dn
