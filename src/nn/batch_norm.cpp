#include "nn/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dn {
namespace {

void move(float& running, double statistic, double rho) { running = static_cast<float>((1 - rho) * running + rho * statistic); }

double inverse_deviation(double variance, double eps) { return 1.0 / std::sqrt(variance + eps); }

}  // namespace

// `share`: how many mini-batches the statistic stands for; its weight keeps the time constant of one update each.
void BatchNorm::move_running(const std::vector<Moments>& statistics, const NormParams& params, double share) const {
  const double t = static_cast<double>(++*params.updates), once = spec_.momentum > 0 ? spec_.momentum : 1 / t;
  double rho = spec_.momentum > 0 && share > 1 ? 1 - std::pow(1 - once, share) : once;
  if (spec_.warm) rho = std::max(rho, 1 / t);
  for (size_t c = 0; c < statistics.size(); ++c) {
    const Moments& m = statistics[c];
    if (!std::isfinite(m.mean) || !std::isfinite(m.m2)) continue;
    move(params.mean.value[c], m.mean, rho);
    move(params.variance.value[c], m.unbiased_variance(), rho);
  }
}

void BatchNorm::collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) {
  if (pass.again) return;
  if (spec_.keeps_statistics()) return use_running(params, saved);
  const size_t channels = static_cast<size_t>(desc_.shape.c);
  std::vector<Moments> own(channels);
  channel_moments(threads_, x, own);
  const bool gathers = pooled() || spec_.update_per_batch;
  if (gathers && pass.micro_step == 0)
    pool_ = own;
  else if (gathers)
    for (size_t c = 0; c < channels; ++c) pool_[c].merge(own[c]);
  if (spec_.kind == NormKind::brn) {
    renormalize(own, params, saved, pass);
  } else {
    const std::vector<Moments>& used = pooled() ? pool_ : own;
    std::fill_n(saved, saved_bytes(), std::byte{0});  // padding lanes stay zero
    for (size_t c = 0; c < channels; ++c) {
      const double inv_std = inverse_deviation(used[c].variance(), spec_.eps);
      vector(saved, kMean)[c] = static_cast<float>(used[c].mean);
      vector(saved, kInvStd)[c] = static_cast<float>(inv_std);
      vector(saved, kScale)[c] = static_cast<float>(params.gamma.value[c] * inv_std);
      vector(saved, kShift)[c] = params.beta.value[c];
      vector(saved, kOwnMean)[c] = static_cast<float>(own[c].mean);
      vector(saved, kOwnInvStd)[c] = static_cast<float>(inverse_deviation(own[c].variance(), spec_.eps));
    }
  }
  if (!spec_.update_per_batch)
    move_running(pooled() ? pool_ : own, params, 1);
  else if (pass.micro_step + 1 == pass.micro_steps)
    move_running(pool_, params, pass.micro_steps);
}

// Batch renormalization (Ioffe 2017): r and d open from 1 and 0 to their limits between spec.ramp_from and spec.ramp_to iterations.
void BatchNorm::renormalize(const std::vector<Moments>& own, const NormParams& params, std::byte* saved, const Pass& pass) const {
  const double at = static_cast<double>(pass.iteration), from = spec_.ramp_from, to = std::max(spec_.ramp_to, from + 1);
  const double open = *params.updates == 0 ? 0 : std::clamp((at - from) / (to - from), 0.0, 1.0);
  const double rmax = 1 + open * (spec_.rmax - 1), dmax = open * spec_.dmax;
  std::fill_n(saved, saved_bytes(), std::byte{0});
  for (size_t c = 0; c < own.size(); ++c) {
    const double inv_std = inverse_deviation(own[c].variance(), spec_.eps), running = inverse_deviation(params.variance.value[c], spec_.eps);
    const double r = std::clamp(running / inv_std, 1 / rmax, rmax), d = std::clamp((own[c].mean - params.mean.value[c]) * running, -dmax, dmax);
    vector(saved, kMean)[c] = static_cast<float>(own[c].mean);
    vector(saved, kInvStd)[c] = static_cast<float>(inv_std);
    vector(saved, kScale)[c] = static_cast<float>(params.gamma.value[c] * r * inv_std);
    vector(saved, kShift)[c] = static_cast<float>(params.gamma.value[c] * d + params.beta.value[c]);
    vector(saved, kR)[c] = static_cast<float>(r);
    vector(saved, kD)[c] = static_cast<float>(d);
  }
}

void BatchNorm::use_running(const NormParams& params, std::byte* saved) const {
  std::fill_n(saved, saved_bytes(), std::byte{0});
  for (size_t c = 0; c < static_cast<size_t>(desc_.shape.c); ++c) {
    const double inv_std = inverse_deviation(params.variance.value[c], spec_.eps);
    vector(saved, kMean)[c] = params.mean.value[c];
    vector(saved, kInvStd)[c] = static_cast<float>(inv_std);
    vector(saved, kScale)[c] = static_cast<float>(params.gamma.value[c] * inv_std);
    vector(saved, kShift)[c] = params.beta.value[c];
  }
}

void BatchNorm::use_bias(std::span<const float> bias, std::byte* saved) const {
  std::fill_n(saved, saved_bytes(), std::byte{0});
  for (const Slot which : {kInvStd, kScale}) std::fill_n(vector(saved, which), bias.size(), 1.0f);
  std::copy(bias.begin(), bias.end(), vector(saved, kShift));
}

void BatchNorm::backward_bias(const Tensor& x, const Tensor& dy, std::span<float> bias_gradient, const std::byte* saved, Write mode, const Tensor& dx) const {
  std::vector<double> sum_dz(bias_gradient.size()), unused(bias_gradient.size());
  gradient_sums(threads_, x, dy, affine(saved), activation_, sum_dz, unused);
  for (size_t c = 0; c < bias_gradient.size(); ++c) deliver(bias_gradient[c], sum_dz[c], mode);
  normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {}, dx);
}

void check_statistics(const Layer& layer, const KernelArgs& args) {
  const Shape& y = args.y.shape;
  if (args.training && !args.frozen && y.count() == static_cast<size_t>(y.c))
    fail(layer.section().where(), ": batch normalization over one value per channel (output ", y.text(), ", mini-batch ", y.n,
         "); expected at least 2: raise batch / subdivisions or the network's size");
}

void BatchNorm::apply(const Tensor& x, const std::byte* saved, const Tensor& y) const { normalize_activate(threads_, x, affine(saved), activation_, y); }

void BatchNorm::backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, Write mode,
                         const Tensor& dx) const {
  const size_t channels = static_cast<size_t>(desc_.shape.c);
  const double n = static_cast<double>(desc_.shape.n) * static_cast<double>(desc_.shape.plane());
  std::vector<double> sum_dz(channels), sum_dz_x(channels);
  gradient_sums(threads_, x, dy, affine(saved), activation_, sum_dz, sum_dz_x);
  float *offset = vector(scratch, 0), *slope = vector(scratch, 1);
  std::fill_n(scratch, backward_scratch_bytes(), std::byte{0});
  const bool trained = spec_.affine && spec_.frozen != NormFrozen::all;
  for (size_t c = 0; c < channels; ++c) {
    const double s1 = sum_dz[c], t = sum_dz_x[c], mean = vector(saved, kMean)[c], scale = vector(saved, kScale)[c];
    double s = vector(saved, kInvStd)[c], count = n, centre = mean, sum = t;
    double gamma_gradient = t * s;
    if (spec_.kind == NormKind::brn) {
      gamma_gradient = vector(saved, kR)[c] * t * s + vector(saved, kD)[c] * s1;
    } else if (pooled() && spec_.gradient == NormGradient::renorm) {
      s = vector(saved, kOwnInvStd)[c], centre = vector(saved, kOwnMean)[c], sum = t + (mean - centre) * s1;
    } else if (pooled() && spec_.gradient == NormGradient::detached) {
      count = pool_[c].count;
    }
    if (mode != Write::none) {
      deliver(params.beta.grad[c], trained ? s1 : 0, mode);
      deliver(params.gamma.grad[c], trained ? gamma_gradient : 0, mode);
    }
    if (spec_.keeps_statistics()) continue;  // constant statistics: dx = scale dz
    const double per_x = -scale * s * s * sum / count;
    slope[c] = static_cast<float>(per_x);
    offset[c] = static_cast<float>(-scale * s1 / count + per_x * (mean - centre));
  }
  normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {offset, slope}, dx);
}

}  // namespace dn
