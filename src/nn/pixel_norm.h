// Layer normalization per pixel over the channels, as ConvNeXt has it (norm = lnc): mean and variance of the C values of a pixel.
//   d = gamma dz:  dx = s (d - sum d / C - xh sum(d xh) / C);  dgamma = sum dz xh, dbeta = sum dz     (normalization notes, section 7)
#pragma once

#include "nn/norm.h"

namespace dn {

class PixelNorm : public Norm {
 public:
  PixelNorm(const NormSpec& spec, const TensorDesc& desc, Activation activation, int threads)
      : spec_(spec),
        desc_(desc),
        vectors_(static_cast<size_t>(desc.padded_channels())),
        pixels_(desc.shape.plane() * static_cast<size_t>(desc.shape.n)),
        activation_(activation),
        threads_(threads) {}

  size_t saved_bytes() const override { return pixels_.bytes(2) + vectors_.bytes(2); }   // mean and 1/deviation [N,H,W]; gamma, beta
  size_t backward_scratch_bytes() const override { return 0; }
  void collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) override;
  void apply(const Tensor& x, const NormParams& params, const std::byte* saved, const Tensor& y) const override;
  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                const Tensor& dx) override;

 private:
  NormSpec spec_;
  TensorDesc desc_;
  Vectors vectors_, pixels_;
  Activation activation_;
  int threads_;
};

}  // namespace dn
