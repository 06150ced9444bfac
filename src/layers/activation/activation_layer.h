// [activation]: y = f(x) as a layer of its own (compatibility notes 4.13); dx = dy f'(x), so backward needs x. Linear: a view.
//
//   [activation]
//   activation=leaky
#pragma once

#include "nn/activation.h"
#include "nn/layer.h"

namespace dn {

struct ActivationSpec {
  std::string activation = "linear";
};

class ActivationLayer : public Layer {
 public:
  static std::unique_ptr<ActivationLayer> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const ActivationLayer& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const ActivationLayer& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Activation activation() const { return activation_; }
  Shape output_shape(std::span<const Shape> in) const override { return in[0]; }
  bool is_view() const override { return activation_ == Activation::linear; }
  std::string summary(std::span<const Shape>) const override { return std::string(activation_name(activation_)); }

 private:
  using Layer::Layer;
  Activation activation_ = Activation::linear;
};

}  // namespace dn
