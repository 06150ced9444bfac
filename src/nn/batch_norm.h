// Batch normalization over (n, h, w), with every choice of whose values a statistic is taken over.
//   forward   mean, v of the scope; s = 1/sqrt(v + eps); xh = (x - mean) s; z = gamma xh + beta
//   backward  dbeta = sum dz; dgamma = sum dz xh; dx = gamma s dz + offset + slope (x - mean)
//   running   r <- (1 - rho) r + rho statistic, rho = max(momentum, 1/t) for the t-th update of a layer that was not loaded from a file
// y takes the biased variance, the running one the unbiased; eps inside the root (normalization notes, sections 1 to 8; presets differ, NormSpec).
// With S1 = sum dz, T(m) = sum dz (x - m), n values of a channel in the mini-batch (index b), N in the pool (index p) that normalizes it:
//   minibatch        dx = gamma s_b (dz - S1/n - s_b^2 T(mean_b)/n (x - mean_b))
//   pooled, renorm   dx = gamma s_p (the same bracket): the pool only scales, so dx sums up to nothing and is orthogonal to x in every mini-batch
//   pooled, local    mean_p, s_p in the bracket;    detached: and N for n, the derivative with everything but this mini-batch held constant
//   pooled, exact    the derivative of the whole batch's loss: mini-batches go backward in reverse order and add to
//                    P += (s_p/N)(gamma S1 - mean_p gamma s_p T), Q += s_p^2 (gamma s_p T)/N;  dx = gamma s_p dz - P - Q x
//   brn              s = r s_b, shift by d = (mean_b - running mean)/sigma, r = sigma_b/sigma, both clipped and constant; bracket as minibatch
//   frozen           running statistics, constant: dx = gamma s dz
// Pools: cmbn, the mini-batches of the batch so far; twopass, all of them, met in a first forward pass (Pass::Stage); window, those so far and past
// batches (nn/norm_history.h). Ranks that train together (Pass::group) are merged first, in their order.
#pragma once

#include <functional>

#include "nn/batch_norm_channel.h"
#include "nn/norm.h"

namespace dn {

class BatchNorm : public Norm {
 public:
  BatchNorm(const NormSpec& spec, const TensorDesc& desc, Activation activation, int threads, bool constant)
      : spec_(spec),
        constant_(constant || spec.keeps_statistics()),
        channels_(static_cast<size_t>(desc.shape.c)),
        vectors_(static_cast<size_t>(desc.padded_channels())),
        activation_(activation),
        threads_(threads) {}

  size_t saved_bytes() const override { return vectors_.bytes(batch_norm::kSlots); }
  size_t backward_scratch_bytes() const override { return vectors_.bytes(2); }
  void collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) override;
  void apply(const Tensor& x, const NormParams& params, const std::byte* saved, const Tensor& y) const override;
  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                const Tensor& dx) override;

 private:
  using Statistics = std::vector<Moments>;   // per channel

  Statistics gathered(const Tensor& x, const Pass& pass) const;
  Statistics pool(const Statistics& own, const NormParams& params, const Pass& pass);
  void save(const std::function<batch_norm::Saved(size_t)>& of_channel, std::byte* saved) const;
  batch_norm::Saved saved_of(size_t c, const std::byte* saved) const;
  void update_running(const Statistics& own, const Statistics& used, const NormParams& params, const Pass& pass);
  void backward_constant(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, const Pass& pass, const Tensor& dx) const;
  ChannelAffine affine(const std::byte* saved) const {
    return {vectors_.at(saved, batch_norm::kMean), vectors_.at(saved, batch_norm::kScale), vectors_.at(saved, batch_norm::kShift)};
  }

  NormSpec spec_;
  bool constant_;
  size_t channels_;
  Vectors vectors_;
  Activation activation_;
  int threads_;
  std::vector<batch_norm::Channel> state_;
  std::vector<Statistics> stored_;   // exact: the pool that each mini-batch met
};

}  // namespace dn
