// Filter response normalization with its thresholded linear unit (Singh and Krishnan 2020), norm = frn: no mean, no other images.
//   nu2 = mean of x^2 over a channel's pixels, xh = x / sqrt(nu2 + eps), y = activate(max(gamma xh + beta, threshold))
//   dz where z > threshold, else it is the threshold's:  dx = s (d - xh mean(d xh)), d = gamma dz     (normalization notes, section 7)
#pragma once

#include "nn/norm.h"

namespace dn {

class FilterResponseNorm : public Norm {
 public:
  FilterResponseNorm(const NormSpec& spec, const TensorDesc& desc, Activation activation, int threads)
      : spec_(spec), desc_(desc), vectors_(row() * static_cast<size_t>(desc.shape.n)), shared_(row()), activation_(activation), threads_(threads) {}

  size_t saved_bytes() const override { return vectors_.bytes(1) + shared_.bytes(3); }   // 1/sqrt(nu2 + eps) [N, C]; gamma, beta, threshold
  size_t backward_scratch_bytes() const override { return vectors_.bytes(1); }
  void collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) override;
  void apply(const Tensor& x, const NormParams& params, const std::byte* saved, const Tensor& y) const override;
  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                const Tensor& dx) override;

 private:
  size_t row() const { return static_cast<size_t>(desc_.padded_channels()); }
  NormSpec spec_;
  TensorDesc desc_;
  Vectors vectors_, shared_;
  Activation activation_;
  int threads_;
};

}  // namespace dn
