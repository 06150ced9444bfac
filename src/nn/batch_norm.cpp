#include "nn/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "comm/group.h"

namespace dn {
namespace {

void move(float& running, double statistic, double rho) { running = static_cast<float>((1 - rho) * running + rho * statistic); }

bool finite(const Moments& m) { return std::isfinite(m.mean) && std::isfinite(m.m2); }

bool last(const Pass& pass) { return pass.micro_step + 1 == pass.micro_steps; }

}  // namespace

void BatchNorm::collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) {
  if (pass.again) return;
  if (constant_) return use_running(params, saved);
  const Statistics own = gathered(x, pass);
  own_count_ = own.empty() ? 0 : own[0].count;
  const Statistics used = pool(own, params, pass);
  counts_.resize(channels_);
  for (size_t c = 0; c < channels_; ++c) counts_[c] = used[c].count;
  if (spec_.kind == NormKind::brn && pass.stage != Pass::Stage::estimate)
    renormalize(own, params, saved, pass);
  else
    use(used, own, params, saved);
  update_running(own, used, params, pass);
}

// Statistics of this mini-batch, over all ranks.
BatchNorm::Statistics BatchNorm::gathered(const Tensor& x, const Pass& pass) const {
  Statistics own(channels_);
  channel_moments(threads_, x, own);
  if (!spec_.sync || !pass.group) return own;
  std::vector<double> mine, all(3 * channels_ * static_cast<size_t>(pass.group->size()));
  for (const Moments& m : own) mine.insert(mine.end(), {m.count, m.mean, m.m2});
  pass.group->all_gather(mine, all);
  Statistics merged(channels_);
  for (size_t i = 0; i < all.size() / 3; ++i) merged[i % channels_].merge({all[3 * i], all[3 * i + 1], all[3 * i + 2]});
  return merged;
}

// What normalizes this mini-batch.
BatchNorm::Statistics BatchNorm::pool(const Statistics& own, const NormParams& params, const Pass& pass) {
  const bool second = pass.stage == Pass::Stage::finish;
  if (second && spec_.scope == NormScope::twopass) return pool_;
  if (second && spec_.gradient == NormGradient::exact && pooled()) return stored_[static_cast<size_t>(pass.micro_step)];
  if (second) return own;
  if (pass.micro_step == 0)
    pool_ = own;
  else
    for (size_t c = 0; c < channels_; ++c) pool_[c].merge(own[c]);
  if (!pooled() || spec_.scope == NormScope::twopass || pass.stage == Pass::Stage::estimate) return own;
  if (spec_.gradient == NormGradient::exact) {
    stored_.resize(static_cast<size_t>(pass.micro_steps));
    return stored_[static_cast<size_t>(pass.micro_step)] = pool_;
  }
  if (spec_.second_moments) {
    add_second_moments(own, pass.micro_step);
    Statistics used(own);
    for (size_t c = 0; c < channels_; ++c) used[c].mean = mean_[c], used[c].m2 = std::max(square_[c] - mean_[c] * mean_[c], 0.0) * own[c].count;
    return used;
  }
  if (spec_.scope != NormScope::window || static_cast<double>(pass.iteration) < spec_.ramp_from) return pool_;
  params.state->history.take(params.jacobian, own_count_, pass.micro_step == 0, channels_);
  return params.state->history.pooled(pool_);
}

// The reference's own arithmetic for pooled statistics: equal weights, second moments over n - 1 (normalization notes, section 2).
void BatchNorm::add_second_moments(const Statistics& own, int micro_step) {
  const double share = 1.0 / (micro_step + 1);
  if (micro_step == 0) mean_.assign(channels_, 0), square_.assign(channels_, 0);
  for (size_t c = 0; c < channels_; ++c) {
    const Moments& m = own[c];
    const double square = std::max((m.m2 + m.count * m.mean * m.mean) / std::max(m.count - 1, 1.0), m.mean * m.mean);
    mean_[c] += share * (m.mean - mean_[c]);
    square_[c] += share * (square - square_[c]);
  }
}

void BatchNorm::use(const Statistics& used, const Statistics& own, const NormParams& params, std::byte* saved) const {
  std::fill_n(saved, saved_bytes(), std::byte{0});  // padding lanes stay zero
  for (size_t c = 0; c < channels_; ++c) {
    const double inv_std = inverse_deviation(spec_, spread(used[c]));
    vectors_.at(saved, kMean)[c] = static_cast<float>(used[c].mean);
    vectors_.at(saved, kInvStd)[c] = static_cast<float>(inv_std);
    vectors_.at(saved, kScale)[c] = static_cast<float>(params.gamma.value[c] * inv_std);
    vectors_.at(saved, kShift)[c] = params.beta.value[c];
    vectors_.at(saved, kOwnMean)[c] = static_cast<float>(own[c].mean);
    vectors_.at(saved, kOwnInvStd)[c] = static_cast<float>(inverse_deviation(spec_, spread(own[c])));
  }
}

// Batch renormalization (Ioffe 2017): r and d open from 1 and 0 to their limits between spec.ramp_from and spec.ramp_to iterations.
void BatchNorm::renormalize(const Statistics& own, const NormParams& params, std::byte* saved, const Pass& pass) const {
  const double at = static_cast<double>(pass.iteration), from = spec_.ramp_from, to = std::max(spec_.ramp_to, from + 1);
  const double open = params.state->updates == 0 ? 0 : std::clamp((at - from) / (to - from), 0.0, 1.0);
  const double rmax = 1 + open * (spec_.rmax - 1), dmax = open * spec_.dmax;
  std::fill_n(saved, saved_bytes(), std::byte{0});
  for (size_t c = 0; c < own.size(); ++c) {
    const double inv_std = inverse_deviation(spec_, spread(own[c])), running = inverse_deviation(spec_, params.variance.value[c]);
    const double r = std::clamp(running / inv_std, 1 / rmax, rmax), d = std::clamp((own[c].mean - params.mean.value[c]) * running, -dmax, dmax);
    vectors_.at(saved, kMean)[c] = static_cast<float>(own[c].mean);
    vectors_.at(saved, kInvStd)[c] = static_cast<float>(inv_std);
    vectors_.at(saved, kScale)[c] = static_cast<float>(params.gamma.value[c] * r * inv_std);
    vectors_.at(saved, kShift)[c] = static_cast<float>(params.gamma.value[c] * d + params.beta.value[c]);
    vectors_.at(saved, kR)[c] = static_cast<float>(r);
    vectors_.at(saved, kD)[c] = static_cast<float>(d);
  }
}

void BatchNorm::use_running(const NormParams& params, std::byte* saved) const {
  std::fill_n(saved, saved_bytes(), std::byte{0});
  for (size_t c = 0; c < channels_; ++c) {
    const double inv_std = inverse_deviation(spec_, params.variance.value[c]);
    vectors_.at(saved, kMean)[c] = params.mean.value[c];
    vectors_.at(saved, kInvStd)[c] = static_cast<float>(inv_std);
    vectors_.at(saved, kScale)[c] = static_cast<float>(params.gamma.value[c] * inv_std);
    vectors_.at(saved, kShift)[c] = params.beta.value[c];
  }
}

// In one of a batch's forward passes only: the first where statistics come from it, else the last.
void BatchNorm::update_running(const Statistics& own, const Statistics& used, const NormParams& params, const Pass& pass) {
  if (pass.stage == Pass::Stage::estimate) {
    if (last(pass)) set_running(pool_, params);
    return;
  }
  const bool first_pass = spec_.scope == NormScope::twopass || (pooled() && spec_.gradient == NormGradient::exact);
  if (pass.stage == (first_pass ? Pass::Stage::finish : Pass::Stage::gather)) return;
  if (last(pass) && spec_.scope == NormScope::window && static_cast<double>(pass.iteration) >= spec_.ramp_from)
    params.state->history.close(pool_, params.jacobian, spec_.window - 1);
  if (spec_.update_per_batch) {
    if (last(pass)) move_running(pool_, params, pass.micro_steps);
  } else {
    move_running(!pooled() ? own : spec_.second_moments ? used : pool_, params, 1);
  }
}

// `share`: how many mini-batches the statistic stands for; its weight keeps the time constant of one update each.
void BatchNorm::move_running(const Statistics& statistics, const NormParams& params, double share) const {
  const double t = static_cast<double>(++params.state->updates), once = spec_.momentum > 0 ? spec_.momentum : 1 / t;
  double rho = spec_.momentum > 0 && share > 1 ? 1 - std::pow(1 - once, share) : once;
  if (spec_.start == NormStart::average) rho = std::max(rho, 1 / t);
  if (spec_.start == NormStart::debiased) rho = rho / -std::expm1(t * std::log1p(-rho));   // the t-th of a sum of falling powers over the sum of the powers
  for (size_t c = 0; c < statistics.size(); ++c) {
    const Moments& m = statistics[c];
    if (!finite(m)) continue;
    move(params.mean.value[c], m.mean, rho);
    move(params.variance.value[c], spec_.biased_running ? m.variance() : m.unbiased_variance(), rho);
  }
}

void BatchNorm::set_running(const Statistics& statistics, const NormParams& params) const {
  params.state->updates = std::max<int64_t>(params.state->updates, 1);
  for (size_t c = 0; c < statistics.size(); ++c) {
    if (!finite(statistics[c])) continue;
    params.mean.value[c] = static_cast<float>(statistics[c].mean);
    params.variance.value[c] = static_cast<float>(statistics[c].unbiased_variance());
  }
}

void BatchNorm::apply(const Tensor& x, const NormParams&, const std::byte* saved, const Tensor& y) const {
  normalize_activate(threads_, x, affine(saved), activation_, y);
}

// s1 = sum dz, t = sum dz (x - the mean that normalizes), over all ranks.
BatchNorm::Bracket BatchNorm::bracket(size_t c, double s1, double t, const std::byte* saved) const {
  const double mean = vectors_.at(saved, kMean)[c], scale = vectors_.at(saved, kScale)[c];
  double s = vectors_.at(saved, kInvStd)[c], count = own_count_, centre = mean, sum = t;
  if (pooled() && spec_.gradient == NormGradient::renorm)
    s = vectors_.at(saved, kOwnInvStd)[c], centre = vectors_.at(saved, kOwnMean)[c], sum = t + (mean - centre) * s1;
  else if (pooled() && spec_.gradient == NormGradient::detached)
    count = counts_[c];
  const double deviation = spec_.eps_outside ? 1 / s - spec_.eps : 1 / s;   // of which d(1/s) is the derivative
  const double per_x = deviation > 0 ? -scale * s / deviation * sum / (spec_.unbiased ? std::max(count - 1, 1.0) : count) : 0;
  return {-scale * s1 / count + per_x * (mean - centre), per_x};
}

BatchNorm::Bracket BatchNorm::exact(size_t c, double s1, double t, const NormParams& params, const std::byte* saved, const Pass& pass) {
  const double mean = vectors_.at(saved, kMean)[c], s = vectors_.at(saved, kInvStd)[c], gamma = params.gamma.value[c];
  const double count = stored_[static_cast<size_t>(pass.micro_step)][c].count, a = gamma * s1, b = gamma * s * t;
  p_[c] += s / count * (a - mean * s * b);
  q_[c] += s * s * b / count;
  return {-p_[c] - q_[c] * mean, -q_[c]};
}

// Every image for itself, so that the gradients do not depend on how a batch is cut.
void BatchNorm::backward_constant(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, const Pass& pass, const Tensor& dx) const {
  std::vector<double> of_beta(channels_ * static_cast<size_t>(x.desc.shape.n)), of_gamma(of_beta.size());
  image_gradient_sums(threads_, x, dy, affine(saved), activation_, of_beta, of_gamma);
  normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {}, dx);
  if (pass.param_grads == Write::none) return;
  for (size_t i = 0; i < of_gamma.size(); ++i) of_gamma[i] *= static_cast<double>(vectors_.at(saved, kInvStd)[i % channels_]);
  if (!spec_.trains_affine()) std::ranges::fill(of_beta, 0), std::ranges::fill(of_gamma, 0);
  deliver_images(params.beta.grad, of_beta, pass.param_grads);
  deliver_images(params.gamma.grad, of_gamma, pass.param_grads);
}

void BatchNorm::backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                         const Tensor& dx) {
  if (constant_) return backward_constant(x, dy, params, saved, pass, dx);
  std::vector<double> sum_dz(channels_), sum_dz_x(channels_);
  gradient_sums(threads_, x, dy, affine(saved), activation_, sum_dz, sum_dz_x);
  const bool trained = spec_.trains_affine();
  for (size_t c = 0; c < channels_ && pass.param_grads != Write::none; ++c) {   // sums of this rank only: the gradients of all ranks are added up later
    double gamma_gradient = sum_dz_x[c] * static_cast<double>(vectors_.at(saved, kInvStd)[c]);
    if (spec_.kind == NormKind::brn) gamma_gradient = vectors_.at(saved, kR)[c] * gamma_gradient + vectors_.at(saved, kD)[c] * sum_dz[c];
    deliver(params.beta.grad[c], trained ? sum_dz[c] : 0, pass.param_grads);
    deliver(params.gamma.grad[c], trained ? gamma_gradient : 0, pass.param_grads);
  }
  if (spec_.sync && pass.group) {
    std::vector<double> mine(sum_dz), all(2 * channels_ * static_cast<size_t>(pass.group->size()));
    mine.insert(mine.end(), sum_dz_x.begin(), sum_dz_x.end());
    pass.group->all_gather(mine, all);
    std::ranges::fill(sum_dz, 0), std::ranges::fill(sum_dz_x, 0);
    for (size_t i = 0; i < all.size(); ++i) (i / channels_ % 2 == 0 ? sum_dz : sum_dz_x)[i % channels_] += all[i];
  }
  const bool whole = pooled() && spec_.gradient == NormGradient::exact;
  if (whole && last(pass)) p_.assign(channels_, 0), q_.assign(channels_, 0);
  float *offset = vectors_.at(scratch, 0), *slope = vectors_.at(scratch, 1);
  std::fill_n(scratch, backward_scratch_bytes(), std::byte{0});
  for (size_t c = 0; c < channels_; ++c) {
    const Bracket b = whole ? exact(c, sum_dz[c], sum_dz_x[c], params, saved, pass) : bracket(c, sum_dz[c], sum_dz_x[c], saved);
    offset[c] = static_cast<float>(b.offset), slope[c] = static_cast<float>(b.slope);
  }
  normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {offset, slope}, dx);
}

}  // namespace dn
