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

  size_t saved_bytes() const override { return vectors_.bytes(kSavedVectors); }
  size_t backward_scratch_bytes() const override { return vectors_.bytes(2); }
  void collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) override;
  void apply(const Tensor& x, const NormParams& params, const std::byte* saved, const Tensor& y) const override;
  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                const Tensor& dx) override;

 private:
  using Statistics = std::vector<Moments>;   // per channel
  static constexpr size_t kSavedVectors = 6;
  // Slots of `saved`: of the statistics that normalize, and, with a pool or brn, of the mini-batch; brn keeps r and d instead of a second mean.
  enum Slot { kMean, kInvStd, kScale, kShift, kOwnMean, kOwnInvStd, kR = kOwnMean, kD = kOwnInvStd };
  struct Bracket {   // of one channel: dx = offset + slope (x - mean) + scale dz
    double offset = 0, slope = 0;
  };

  bool pooled() const { return spec_.scope != NormScope::minibatch; }
  Statistics gathered(const Tensor& x, const Pass& pass) const;
  Statistics pool(const Statistics& own, const NormParams& params, const Pass& pass);
  void add_second_moments(const Statistics& own, int micro_step);
  void use_running(const NormParams& params, std::byte* saved) const;
  void use(const Statistics& used, const Statistics& own, const NormParams& params, std::byte* saved) const;
  void renormalize(const Statistics& own, const NormParams& params, std::byte* saved, const Pass& pass) const;
  void update_running(const Statistics& own, const Statistics& used, const NormParams& params, const Pass& pass);
  void move_running(const Statistics& statistics, const NormParams& params, double share) const;
  void set_running(const Statistics& statistics, const NormParams& params) const;
  void backward_constant(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, const Pass& pass, const Tensor& dx) const;
  Bracket bracket(size_t c, double s1, double t, const std::byte* saved) const;
  Bracket exact(size_t c, double s1, double t, const NormParams& params, const std::byte* saved, const Pass& pass);
  double spread(const Moments& m) const { return spec_.unbiased ? m.unbiased_variance() : m.variance(); }
  ChannelAffine affine(const std::byte* saved) const { return {vectors_.at(saved, kMean), vectors_.at(saved, kScale), vectors_.at(saved, kShift)}; }

  NormSpec spec_;
  bool constant_;
  size_t channels_;
  Vectors vectors_;
  Activation activation_;
  int threads_;
  Statistics pool_;                   // over the mini-batches of this batch; assigned at its first, so that nothing survives from the batch before
  std::vector<Statistics> stored_;    // exact: the pool that each mini-batch met
  std::vector<double> counts_;        // per channel, of the pool that normalizes this mini-batch
  double own_count_ = 0;              // values of a channel in this mini-batch, over all ranks
  std::vector<double> p_, q_;         // exact
  std::vector<double> mean_, square_;   // alexeyab-cudnn: averages of means and second moments over the mini-batches so far
};

}  // namespace dn
