#include "nn/batch_norm.h"

#include <algorithm>

#include "comm/group.h"

namespace dn {
namespace {

batch_norm::Call call_of(const Pass& pass) { return {pass.stage, pass.micro_step, pass.micro_steps, static_cast<double>(pass.iteration)}; }

}  // namespace

void BatchNorm::collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) {
  if (pass.again) return;
  const ParamView &gamma = params.gamma, &beta = params.beta, &mean = params.mean, &variance = params.variance;
  if (constant_)
    return save([&](size_t c) { return batch_norm::constant(spec_, gamma.value[c], beta.value[c], mean.value[c], variance.value[c]); }, saved);
  const Statistics own = gathered(x, pass);
  const Statistics used = pool(own, params, pass);
  for (size_t c = 0; c < channels_; ++c) state_[c].count = used[c].count;
  const bool renormalizes = spec_.kind == NormKind::brn && pass.stage != Pass::Stage::estimate;
  save([&](size_t c) {
    return renormalizes ? batch_norm::renormalized(spec_, own[c], gamma.value[c], beta.value[c], mean.value[c], variance.value[c], params.state->updates,
                                                   static_cast<double>(pass.iteration))
                        : batch_norm::vectors(spec_, used[c], own[c], gamma.value[c], beta.value[c]);
  }, saved);
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
  const batch_norm::Call call = call_of(pass);
  state_.resize(channels_);
  const auto step = static_cast<size_t>(pass.micro_step);
  if (batch_norm::exact(spec_) && stored_.size() <= step) stored_.resize(static_cast<size_t>(pass.micro_steps));
  if (batch_norm::exact(spec_)) stored_[step].resize(channels_);
  Statistics used(channels_);
  for (size_t c = 0; c < channels_; ++c)
    used[c] = batch_norm::pool(spec_, own[c], state_[c], batch_norm::exact(spec_) ? &stored_[step][c] : nullptr, call);
  if (spec_.scope != NormScope::window || !batch_norm::takes_pool(spec_, call) || call.iteration < spec_.ramp_from) return used;
  params.state->history.take(params.jacobian, own.empty() ? 0 : own[0].count, pass.micro_step == 0, channels_);
  return params.state->history.pooled(used);
}

void BatchNorm::save(const std::function<batch_norm::Saved(size_t)>& of_channel, std::byte* saved) const {
  std::fill_n(saved, saved_bytes(), std::byte{0});  // padding lanes stay zero
  for (size_t c = 0; c < channels_; ++c) {
    const batch_norm::Saved values = of_channel(c);
    for (int slot = 0; slot < batch_norm::kSlots; ++slot) vectors_.at(saved, slot)[c] = values.v[slot];
  }
}

batch_norm::Saved BatchNorm::saved_of(size_t c, const std::byte* saved) const {
  batch_norm::Saved values;
  for (int slot = 0; slot < batch_norm::kSlots; ++slot) values.v[slot] = vectors_.at(saved, slot)[c];
  return values;
}

void BatchNorm::update_running(const Statistics& own, const Statistics& used, const NormParams& params, const Pass& pass) {
  const batch_norm::Call call = call_of(pass);
  const bool first_pass = spec_.scope == NormScope::twopass || batch_norm::exact(spec_);
  if (call.last() && spec_.scope == NormScope::window && call.iteration >= spec_.ramp_from && pass.stage != Pass::Stage::estimate &&
      pass.stage != (first_pass ? Pass::Stage::finish : Pass::Stage::gather)) {
    Statistics pooled(channels_);
    for (size_t c = 0; c < channels_; ++c) pooled[c] = state_[c].pool;
    params.state->history.close(pooled, params.jacobian, spec_.window - 1);
  }
  const batch_norm::Move move = batch_norm::move_of(spec_, call);
  if (move == batch_norm::Move::none) return;
  int64_t& updates = params.state->updates;
  const bool set = move == batch_norm::Move::set;
  updates = set ? std::max<int64_t>(updates, 1) : updates + 1;
  const double rho = batch_norm::running_weight(spec_, updates, call);
  for (size_t c = 0; c < channels_; ++c) {
    const Moments& m = move == batch_norm::Move::own ? own[c] : move == batch_norm::Move::used ? used[c] : state_[c].pool;
    batch_norm::move_running(spec_, m, rho, set, params.mean.value[c], params.variance.value[c]);
  }
}

void BatchNorm::apply(const Tensor& x, const NormParams&, const std::byte* saved, const Tensor& y) const {
  normalize_activate(threads_, x, affine(saved), activation_, y);
}

// Every image for itself, so that the gradients do not depend on how a batch is cut.
void BatchNorm::backward_constant(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, const Pass& pass, const Tensor& dx) const {
  std::vector<double> of_beta(channels_ * static_cast<size_t>(x.desc.shape.n)), of_gamma(of_beta.size());
  image_gradient_sums(threads_, x, dy, affine(saved), activation_, of_beta, of_gamma);
  normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {}, dx);
  if (pass.param_grads == Write::none) return;
  for (size_t i = 0; i < of_gamma.size(); ++i) of_gamma[i] *= static_cast<double>(vectors_.at(saved, batch_norm::kInvStd)[i % channels_]);
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
    deliver(params.beta.grad[c], trained ? sum_dz[c] : 0, pass.param_grads);
    deliver(params.gamma.grad[c], trained ? batch_norm::gamma_gradient(spec_, sum_dz[c], sum_dz_x[c], saved_of(c, saved)) : 0, pass.param_grads);
  }
  if (spec_.sync && pass.group) {
    std::vector<double> mine(sum_dz), all(2 * channels_ * static_cast<size_t>(pass.group->size()));
    mine.insert(mine.end(), sum_dz_x.begin(), sum_dz_x.end());
    pass.group->all_gather(mine, all);
    std::ranges::fill(sum_dz, 0), std::ranges::fill(sum_dz_x, 0);
    for (size_t i = 0; i < all.size(); ++i) (i / channels_ % 2 == 0 ? sum_dz : sum_dz_x)[i % channels_] += all[i];
  }
  const batch_norm::Call call = call_of(pass);
  float *offset = vectors_.at(scratch, 0), *slope = vectors_.at(scratch, 1);
  std::fill_n(scratch, backward_scratch_bytes(), std::byte{0});
  for (size_t c = 0; c < channels_; ++c) {
    const batch_norm::Saved values = saved_of(c, saved);
    const batch_norm::Bracket b = batch_norm::exact(spec_)
                                      ? batch_norm::exact_bracket(sum_dz[c], sum_dz_x[c], params.gamma.value[c], values,
                                                                  stored_[static_cast<size_t>(pass.micro_step)][c], state_[c], call)
                                      : batch_norm::bracket(spec_, sum_dz[c], sum_dz_x[c], values, state_[c]);
    offset[c] = static_cast<float>(b.offset), slope[c] = static_cast<float>(b.slope);
  }
  normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {offset, slope}, dx);
}

}  // namespace dn
