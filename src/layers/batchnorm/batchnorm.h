// [batchnorm]: a normalization (nn/norm.h) alone, batch normalization unless norm says otherwise: y = gamma (x - mean) / sqrt(v + eps) + beta.
// Backward keeps x. File order: biases, scales, means, variances. No keys but the norm_* ones.
#pragma once

#include "nn/layer.h"

namespace dn {

class Batchnorm : public Layer {
 public:
  static std::unique_ptr<Batchnorm> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Batchnorm& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Batchnorm& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys() { return with_norm_keys({}, NormPlace::batchnorm); }

  Shape output_shape(std::span<const Shape> in) const override;
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;

  const NormSpec* normalization() const override { return &norm_; }
  const NormSpec& norm() const { return norm_; }

 private:
  using Layer::Layer;
  NormSpec norm_;
};

}  // namespace dn
