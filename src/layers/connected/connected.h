// [connected]: y = activate(norm(W x + b)); x is flattened in [C,H,W] order, W is [output, inputs].
// Backward keeps x and, when normalized or not linear, W x. File order: biases, weights, then scales, means, variances.
#pragma once

#include "nn/activation.h"
#include "nn/layer.h"

namespace dn {

struct ConnectedSpec {
  int output = 1;
  std::string activation = "logistic";
};

class Connected : public Layer {
 public:
  static std::unique_ptr<Connected> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Connected& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Connected& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Shape output_shape(std::span<const Shape> in) const override;
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override { return 2.0 * static_cast<double>(in[0].count()) * spec_.output; }
  std::string summary(std::span<const Shape>) const override { return concat(spec_.output, "  ", normalized() ? norm_.text() + "  " : "", spec_.activation); }
  bool resizable() const override { return false; }

  const NormSpec* normalization() const override { return &norm_; }
  const NormSpec& norm() const { return norm_; }
  bool normalized() const { return norm_.any(); }
  Activation activation() const { return activation_; }

 private:
  using Layer::Layer;
  ConnectedSpec spec_;
  NormSpec norm_;
  Activation activation_ = Activation::linear;
};

}  // namespace dn
