// [softmax]: y = exp((x - m) / t) / sum exp((x - m) / t), m the largest x of the group (compatibility notes 4.16).
// The values of an image, in [C,H,W] order, are cut into `groups` equal runs; with spatial=1 every pixel has its own softmax over the channels of
// each group. Backward keeps y:  dx = y (dy - sum dy y) / t, the exact derivative.
// In a classifier this is also the loss. Detector training has no class targets, so there the layer only passes on what later layers send back.
//
//   [softmax]
//   groups=1
#pragma once

#include "nn/layer.h"

namespace dn {

struct SoftmaxSpec {
  int groups = 1;
  float temperature = 1;
  bool spatial = false, noloss = false;
};

class Softmax : public Layer {
 public:
  static std::unique_ptr<Softmax> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Softmax& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Softmax& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const SoftmaxSpec& spec() const { return spec_; }
  void warn_of_training(const KernelArgs& args) const;   // once for each kernel that is made
  Shape output_shape(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override { return 4.0 * static_cast<double>(in[0].count()); }
  std::string summary(std::span<const Shape> in) const override;
  bool resizable() const override { return false; }  // its values are a fixed list of classes

 private:
  Softmax(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  SoftmaxSpec spec_;
};

}  // namespace dn
