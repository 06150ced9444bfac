// [local]: a convolution whose filters are another set at every place of the output (compatibility notes 4.18); YOLOv1 ends with one.
//   y[f,i,j] = activate(b[f,i,j] + sum_{c,u,v} W[i,j][f,c,u,v] x[c, stride i + u - p, stride j + v - p]),   p = size / 2 with pad, else 0
//   out = (in - 1) / stride + 1 with pad, (in - size) / stride + 1 without
// Backward keeps x and, unless linear, the sums before activation. Weights are stored place by place: [place][filter][c][u][v]; biases [filter][place].
// They belong to one input size: no random sizes. The family sets only the first place's weights to random numbers, and trains none.
//
//   [local]
//   filters=256
//   size=3
//   pad=1
//   activation=leaky
#pragma once

#include "nn/activation.h"
#include "nn/layer.h"

namespace dn {

struct LocalSpec {
  int filters = 1, size = 1, stride = 1;
  bool pad = false;
  std::string activation = "logistic";
};

class Local : public Layer {
 public:
  static std::unique_ptr<Local> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Local& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Local& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const LocalSpec& spec() const { return spec_; }
  int padding() const { return spec_.pad ? spec_.size / 2 : 0; }
  Activation activation() const { return activation_; }
  Shape output_shape(std::span<const Shape> in) const override;
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;
  bool resizable() const override { return false; }

 private:
  using Layer::Layer;
  LocalSpec spec_;
  Activation activation_ = Activation::linear;
};

}  // namespace dn
