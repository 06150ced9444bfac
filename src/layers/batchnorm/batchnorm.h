// [batchnorm]: y = gamma (x - mean) / sqrt(v + eps) + beta per channel, statistics over the mini-batch in training, running ones at inference.
// Backward keeps x. File order: biases, scales, means, variances. No keys but the norm_* ones.
#pragma once

#include "nn/layer.h"

namespace dn {

class Batchnorm : public Layer {
 public:
  static std::unique_ptr<Batchnorm> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Batchnorm& layer, cpu::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys() { return with_norm_keys({}, NormPlace::batchnorm); }

  Shape output_shape(std::span<const Shape> in) const override { return in[0]; }
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;

  bool frozen_statistics() const override { return norm_.keeps_statistics(); }
  const NormSpec& norm() const { return norm_; }

 private:
  using Layer::Layer;
  NormSpec norm_;
};

}  // namespace dn
