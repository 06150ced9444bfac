// Batch normalization of one channel (formulas: nn/batch_norm.h), as the host and GPU kernels compute it: which statistics normalize a mini-batch, what
// its vectors are, how the running statistics move, and what the gradient is made of. In double.
#pragma once

#include <cmath>

#include "config/norm_spec.h"
#include "nn/kernel.h"
#include "nn/moments.h"

namespace dn::batch_norm {

// The numbers of a call that matter to a channel.
struct Call {
  Pass::Stage stage = Pass::Stage::only;
  int micro_step = 0, micro_steps = 1;
  double iteration = 0;
  DN_HD bool last() const { return micro_step + 1 == micro_steps; }
};

// What a channel remembers from call to call.
struct Channel {
  Moments pool;                         // over the mini-batches of this batch; assigned at its first, so that nothing survives from the batch before
  double count = 0, own_count = 0;      // values in the pool that normalizes this mini-batch; in the mini-batch itself, over all ranks
  double p = 0, q = 0;                  // exact
  double mean = 0, square = 0;          // alexeyab-cudnn: averages of means and second moments over the mini-batches so far
};

// Slots of `saved`, each a vector over the channels: of the statistics that normalize, and, with a pool or brn, of the mini-batch; brn keeps r and d
// instead of a second mean.
enum Slot { kMean, kInvStd, kScale, kShift, kOwnMean, kOwnInvStd, kSlots, kR = kOwnMean, kD = kOwnInvStd };
struct Saved {
  float v[kSlots] = {};
};

struct Bracket {   // dx = offset + slope (x - mean) + scale dz
  double offset = 0, slope = 0;
};

DN_HD inline bool pooled(const NormSpec& spec) { return spec.scope != NormScope::minibatch; }
DN_HD inline bool exact(const NormSpec& spec) { return pooled(spec) && spec.gradient == NormGradient::exact; }
DN_HD inline double clamped(double value, double low, double high) { return value < low ? low : value > high ? high : value; }
DN_HD inline double larger(double a, double b) { return a < b ? b : a; }   // a NaN in front stays
DN_HD inline double spread(const NormSpec& spec, const Moments& m) { return spec.unbiased ? m.unbiased_variance() : m.variance(); }
DN_HD inline double inverse_std(const NormSpec& spec, double variance) {
  return spec.eps_outside ? 1 / (std::sqrt(variance) + spec.eps) : 1 / std::sqrt(variance + spec.eps);
}
DN_HD inline bool finite(const Moments& m) { return std::isfinite(m.mean) && std::isfinite(m.m2); }

// The reference's own arithmetic for pooled statistics: equal weights, second moments over n - 1 (normalization notes, section 2).
DN_HD inline Moments second_moments(const Moments& own, Channel& channel, int micro_step) {
  const double share = 1.0 / (micro_step + 1);
  if (micro_step == 0) channel.mean = channel.square = 0;
  const double square = larger((own.m2 + own.count * own.mean * own.mean) / larger(own.count - 1, 1.0), own.mean * own.mean);
  channel.mean += share * (own.mean - channel.mean);
  channel.square += share * (square - channel.square);
  return {own.count, channel.mean, larger(channel.square - channel.mean * channel.mean, 0.0) * own.count};
}

// Whether the statistics that normalize come from the pool of this call itself, which past batches then join where the scope is a window.
DN_HD inline bool takes_pool(const NormSpec& spec, const Call& call) {
  return pooled(spec) && spec.scope != NormScope::twopass && !exact(spec) && !spec.second_moments && call.stage != Pass::Stage::finish &&
         call.stage != Pass::Stage::estimate;
}

// What normalizes this mini-batch. stored: exact: the pool that this micro-step met.
DN_HD inline Moments pool(const NormSpec& spec, const Moments& own, Channel& channel, Moments* stored, const Call& call) {
  channel.own_count = own.count;
  if (call.stage == Pass::Stage::finish) return spec.scope == NormScope::twopass ? channel.pool : exact(spec) ? *stored : own;
  if (call.micro_step == 0)
    channel.pool = own;
  else
    channel.pool.merge(own);
  if (!pooled(spec) || spec.scope == NormScope::twopass || call.stage == Pass::Stage::estimate) return own;
  if (exact(spec)) return *stored = channel.pool;
  if (spec.second_moments) return second_moments(own, channel, call.micro_step);
  return channel.pool;
}

DN_HD inline Saved vectors(const NormSpec& spec, const Moments& used, const Moments& own, float gamma, float beta) {
  const double inv_std = inverse_std(spec, spread(spec, used));
  return {{static_cast<float>(used.mean), static_cast<float>(inv_std), static_cast<float>(gamma * inv_std), beta, static_cast<float>(own.mean),
           static_cast<float>(inverse_std(spec, spread(spec, own)))}};
}

// Batch renormalization (Ioffe 2017): r and d open from 1 and 0 to their limits between spec.ramp_from and spec.ramp_to iterations.
DN_HD inline Saved renormalized(const NormSpec& spec, const Moments& own, float gamma, float beta, float running_mean, float running_variance,
                                int64_t updates, double iteration) {
  const double to = larger(spec.ramp_to, spec.ramp_from + 1);
  const double open = updates == 0 ? 0 : clamped((iteration - spec.ramp_from) / (to - spec.ramp_from), 0.0, 1.0);
  const double rmax = 1 + open * (spec.rmax - 1), dmax = open * spec.dmax;
  const double inv_std = inverse_std(spec, spread(spec, own)), running = inverse_std(spec, running_variance);
  const double r = clamped(running / inv_std, 1 / rmax, rmax), d = clamped((own.mean - running_mean) * running, -dmax, dmax);
  return {{static_cast<float>(own.mean), static_cast<float>(inv_std), static_cast<float>(gamma * r * inv_std), static_cast<float>(gamma * d + beta),
           static_cast<float>(r), static_cast<float>(d)}};
}

DN_HD inline Saved constant(const NormSpec& spec, float gamma, float beta, float running_mean, float running_variance) {
  const double inv_std = inverse_std(spec, running_variance);
  return {{running_mean, static_cast<float>(inv_std), static_cast<float>(gamma * inv_std), beta}};
}

// What the running statistics take in a call: in one of a batch's forward passes only, the first where statistics come from it, else the last.
enum class Move { none, own, used, pool, set };
DN_HD inline Move move_of(const NormSpec& spec, const Call& call) {
  if (call.stage == Pass::Stage::estimate) return call.last() ? Move::set : Move::none;
  const bool first_pass = spec.scope == NormScope::twopass || exact(spec);
  if (call.stage == (first_pass ? Pass::Stage::finish : Pass::Stage::gather)) return Move::none;
  if (spec.update_per_batch) return call.last() ? Move::pool : Move::none;
  return !pooled(spec) ? Move::own : spec.second_moments ? Move::used : Move::pool;
}

// Weight of the t-th statistic. With update_per_batch it stands for all mini-batches and keeps the time constant of one update each.
DN_HD inline double running_weight(const NormSpec& spec, int64_t t, const Call& call) {
  const double at = static_cast<double>(t), share = spec.update_per_batch ? call.micro_steps : 1, once = spec.momentum > 0 ? spec.momentum : 1 / at;
  double rho = spec.momentum > 0 && share > 1 ? 1 - std::pow(1 - once, share) : once;
  if (spec.start == NormStart::average) rho = larger(rho, 1 / at);
  if (spec.start == NormStart::debiased) rho = rho / -std::expm1(at * std::log1p(-rho));   // the t-th of a sum of falling powers over the sum of the powers
  return rho;
}

// Statistics that are not finite leave no trace.
DN_HD inline void move_running(const NormSpec& spec, const Moments& m, double rho, bool set, float& mean, float& variance) {
  if (!finite(m)) return;
  if (set) rho = 1;
  const double spread = spec.biased_running && !set ? m.variance() : m.unbiased_variance();
  mean = static_cast<float>(set ? m.mean : (1 - rho) * mean + rho * m.mean);
  variance = static_cast<float>(set ? spread : (1 - rho) * variance + rho * spread);
}

// s1 = sum dz, t = sum dz (x - the mean that normalizes), over all ranks.
DN_HD inline Bracket bracket(const NormSpec& spec, double s1, double t, const Saved& saved, const Channel& channel) {
  const double mean = saved.v[kMean], scale = saved.v[kScale];
  double s = saved.v[kInvStd], count = channel.own_count, centre = mean, sum = t;
  if (pooled(spec) && spec.gradient == NormGradient::renorm)
    s = saved.v[kOwnInvStd], centre = saved.v[kOwnMean], sum = t + (mean - centre) * s1;
  else if (pooled(spec) && spec.gradient == NormGradient::detached)
    count = channel.count;
  const double deviation = spec.eps_outside ? 1 / s - spec.eps : 1 / s;   // of which d(1/s) is the derivative
  const double per_x = deviation > 0 ? -scale * s / deviation * sum / (spec.unbiased ? larger(count - 1, 1.0) : count) : 0;
  return {-scale * s1 / count + per_x * (mean - centre), per_x};
}

// The derivative of the whole batch's loss. The last mini-batch goes backward first.
DN_HD inline Bracket exact_bracket(double s1, double t, float gamma, const Saved& saved, const Moments& stored, Channel& channel, const Call& call) {
  const double mean = saved.v[kMean], s = saved.v[kInvStd], a = gamma * s1, b = gamma * s * t;
  if (call.last()) channel.p = channel.q = 0;
  channel.p += s / stored.count * (a - mean * s * b);
  channel.q += s * s * b / stored.count;
  return {-channel.p - channel.q * mean, -channel.q};
}

// Of gamma: sum dz xh.
DN_HD inline double gamma_gradient(const NormSpec& spec, double s1, double t, const Saved& saved) {
  const double plain = t * static_cast<double>(saved.v[kInvStd]);
  return spec.kind == NormKind::brn ? saved.v[kR] * plain + saved.v[kD] * s1 : plain;
}

}  // namespace dn::batch_norm
