// Batch normalization over (n, h, w) with the activation behind it, as every layer that normalizes uses it (convolutional, batchnorm, connected);
// without normalization the same object adds a bias instead.
//   forward   mean, v over the mini-batch; s = 1/sqrt(v + eps); xh = (x - mean) s; y = activate(gamma xh + beta)
//   backward  dz = dy activate'(z); dbeta = sum dz; dgamma = sum dz xh; dx = gamma s (dz - sum dz / n - xh sum(dz xh) / n)
//   running   r <- (1 - rho) r + rho statistic, rho = max(.01, 1/t) for the t-th update of a layer that was not loaded from a file
// y takes the biased variance, the running one the unbiased; eps = 1e-5 inside the root everywhere (normalization notes, sections 1 and 8).
#pragma once

#include "nn/kernel.h"
#include "nn/layer.h"
#include "nn/normalize.h"

namespace dn {

inline constexpr double kNormEpsilon = 1e-5;
inline constexpr double kNormMomentum = .01;

// The parameters of one normalized layer. gamma, beta: trained; mean, variance: running.
struct NormParams {
  ParamView beta, gamma, mean, variance;
  int64_t* updates = nullptr;
};

class BatchNorm {
 public:
  BatchNorm(const TensorDesc& desc, Activation activation, int threads) : desc_(desc), activation_(activation), threads_(threads) {}

  size_t saved_bytes() const { return 4 * vector_bytes(); }       // mean, inv_std, scale, shift of the forward pass
  size_t backward_scratch_bytes() const { return 2 * vector_bytes(); }

  // Statistics of this mini-batch into `saved`; the running ones move.
  void collect(const Tensor& x, const NormParams& params, std::byte* saved) const;
  // Uses the running statistics instead (frozen layers).
  void use_running(const NormParams& params, std::byte* saved) const;
  // No normalization: z = x + bias.
  void use_bias(std::span<const float> bias, std::byte* saved) const;
  void apply(const Tensor& x, const std::byte* saved, const Tensor& y) const;   // y may be x
  // dx may be dy or x. `mode` is for dgamma and dbeta.
  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, Write mode, const Tensor& dx) const;
  // The same without normalization: dbias and dx = dy activate'(z).
  void backward_bias(const Tensor& x, const Tensor& dy, std::span<float> bias_gradient, const std::byte* saved, Write mode, const Tensor& dx) const;

 private:
  size_t vector_bytes() const { return round_up(static_cast<size_t>(desc_.padded_channels()) * sizeof(float), size_t{64}); }
  float* vector(std::byte* saved, int which) const { return reinterpret_cast<float*>(saved + static_cast<size_t>(which) * vector_bytes()); }
  const float* vector(const std::byte* saved, int which) const {
    return reinterpret_cast<const float*>(saved + static_cast<size_t>(which) * vector_bytes());
  }
  ChannelAffine affine(const std::byte* saved) const { return {vector(saved, 0), vector(saved, 2), vector(saved, 3)}; }
  TensorDesc desc_;
  Activation activation_;
  int threads_;
};

// Refuses a training kernel whose mini-batch has a single value per channel: its variance says nothing. Throws Error, place first.
void check_statistics(const Layer& layer, const KernelArgs& args);

// Delivers a parameter gradient.
inline void deliver(float& gradient, double value, Write mode) {
  gradient = mode == Write::accumulate ? static_cast<float>(gradient + value) : static_cast<float>(value);
}

}  // namespace dn
