// [scale_channels]: an earlier layer times a factor per channel, the second half of squeeze-and-excitation (compatibility notes 4.10).
//   y[c,i,j] = f(a[c] x[c,i,j]),   x = layer `from`, a [C,1,1] = the layer before;   scale_wh=1: a[i,j] instead, a [1,H,W]
//   dz = dy f'(a x),   dx = dz a,   da = the sum of dz x over all that the factor multiplies
// Backward needs x and a.
//
//   [scale_channels]
//   from=-4
#pragma once

#include "nn/activation.h"
#include "nn/layer.h"

namespace dn {

struct ScaleChannelsSpec {
  int from = -4;  // as written; negative counts back
  bool scale_wh = false;
  std::string activation = "linear";
};

class ScaleChannels : public Layer {
 public:
  static std::unique_ptr<ScaleChannels> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const ScaleChannels& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const ScaleChannels& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  bool per_pixel() const { return per_pixel_; }
  Activation activation() const { return activation_; }
  std::vector<int> sources() const override { return sources_; }
  Shape output_shape(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override { return static_cast<double>(in[1].count()); }
  std::string summary(std::span<const Shape> in) const override;

 private:
  ScaleChannels(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  std::vector<int> sources_;  // the layer before (the factors), then `from`
  bool per_pixel_ = false;
  Activation activation_ = Activation::linear;
};

}  // namespace dn
