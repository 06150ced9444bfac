// Batch normalization over (n, h, w) with the activation behind it, as every layer that normalizes uses it (convolutional, batchnorm, connected);
// without normalization the same object adds a bias instead.
//   forward   mean, v of the scope; s = 1/sqrt(v + eps); xh = (x - mean) s; y = activate(gamma xh + beta)
//   backward  dz = dy activate'(z); dbeta = sum dz; dgamma = sum dz xh; dx = gamma s (dz - a - b (x - mean'))
//   running   r <- (1 - rho) r + rho statistic, rho = max(momentum, 1/t) for the t-th update of a layer that was not loaded from a file
// y takes the biased variance, the running one the unbiased; eps inside the root everywhere (normalization notes, sections 1, 4, 7 and 8).
// With S1 = sum dz, T(m) = sum dz (x - m), n values of a channel in the mini-batch (index b), N in the pool (index p) seen so far:
//   minibatch        a = S1/n,  b = s_b^2 T(mean_b)/n,  mean' = mean_b
//   cmbn, renorm     the same: the pool only scales, so dx sums up to nothing and is orthogonal to x in every mini-batch
//   cmbn, local      a = S1/n,  b = s_p^2 T(mean_p)/n,  mean' = mean_p;    detached  N for n: the derivative with the past held constant
//   brn              s = r s_b, shift by d = (mean_b - running mean)/sigma, r = sigma_b/sigma, both clipped and constant; a, b as minibatch
//   frozen           running statistics, constant: a = b = 0
#pragma once

#include <vector>

#include "config/norm_spec.h"
#include "nn/kernel.h"
#include "nn/layer.h"
#include "nn/moments.h"
#include "nn/normalize.h"

namespace dn {

// The parameters of one normalized layer. gamma, beta: trained; mean, variance: running.
struct NormParams {
  ParamView beta, gamma, mean, variance;
  int64_t* updates = nullptr;
};

class BatchNorm {
 public:
  BatchNorm(const NormSpec& spec, const TensorDesc& desc, Activation activation, int threads)
      : spec_(spec), desc_(desc), activation_(activation), threads_(threads) {}

  size_t saved_bytes() const { return kSavedVectors * vector_bytes(); }
  size_t backward_scratch_bytes() const { return 2 * vector_bytes(); }

  // Statistics of this mini-batch, of the pool it joins (Pass::micro_step 0 starts a new one), or the running ones when frozen, into `saved`.
  // The running ones move; statistics that are not finite leave no trace in them, nor in the pool of the next batch.
  void collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass);
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
  static constexpr size_t kSavedVectors = 6;
  // Slots of `saved`: of the statistics that normalize, and, with a pool or brn, of the mini-batch; brn keeps r and d instead of a second mean.
  enum Slot { kMean, kInvStd, kScale, kShift, kOwnMean, kOwnInvStd, kR = kOwnMean, kD = kOwnInvStd };

  bool pooled() const { return spec_.scope == NormScope::cmbn; }
  void move_running(const std::vector<Moments>& statistics, const NormParams& params, double share) const;
  void renormalize(const std::vector<Moments>& own, const NormParams& params, std::byte* saved, const Pass& pass) const;
  size_t vector_bytes() const { return round_up(static_cast<size_t>(desc_.padded_channels()) * sizeof(float), size_t{64}); }
  float* vector(std::byte* saved, int which) const { return reinterpret_cast<float*>(saved + static_cast<size_t>(which) * vector_bytes()); }
  const float* vector(const std::byte* saved, int which) const {
    return reinterpret_cast<const float*>(saved + static_cast<size_t>(which) * vector_bytes());
  }
  ChannelAffine affine(const std::byte* saved) const { return {vector(saved, 0), vector(saved, 2), vector(saved, 3)}; }
  NormSpec spec_;
  TensorDesc desc_;
  Activation activation_;
  int threads_;
  std::vector<Moments> pool_;   // over the mini-batches of this batch; assigned at its first, so that nothing survives from the batch before
};

// Refuses a training kernel whose mini-batch has a single value per channel: its variance says nothing. Throws Error, place first.
void check_statistics(const Layer& layer, const KernelArgs& args);

// Delivers a parameter gradient.
inline void deliver(float& gradient, double value, Write mode) {
  gradient = mode == Write::accumulate ? static_cast<float>(gradient + value) : static_cast<float>(value);
}

}  // namespace dn
