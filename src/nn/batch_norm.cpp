#include "nn/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dn {
namespace {

// Per-channel vectors of the forward pass from statistics given in double.
struct Vectors {
  float *mean, *inv_std, *scale, *shift;
};

void set_channel(const Vectors& v, size_t c, double mean, double variance, double gamma, double beta) {
  const double inv_std = 1.0 / std::sqrt(variance + kNormEpsilon);
  v.mean[c] = static_cast<float>(mean);
  v.inv_std[c] = static_cast<float>(inv_std);
  v.scale[c] = static_cast<float>(gamma * inv_std);
  v.shift[c] = static_cast<float>(beta);
}

void move(float& running, double statistic, double rho) { running = static_cast<float>((1 - rho) * running + rho * statistic); }

}  // namespace

void BatchNorm::collect(const Tensor& x, const NormParams& params, std::byte* saved) const {
  const size_t channels = static_cast<size_t>(desc_.shape.c);
  std::vector<Moments> moments(channels);
  channel_moments(threads_, x, moments);
  const Vectors v{vector(saved, 0), vector(saved, 1), vector(saved, 2), vector(saved, 3)};
  std::fill_n(reinterpret_cast<std::byte*>(v.mean), saved_bytes(), std::byte{0});  // padding lanes stay zero
  const double t = static_cast<double>(++*params.updates), rho = std::max(kNormMomentum, 1 / t);
  for (size_t c = 0; c < channels; ++c) {
    const Moments& m = moments[c];
    set_channel(v, c, m.mean, m.variance(), params.gamma.value[c], params.beta.value[c]);
    move(params.mean.value[c], m.mean, rho);
    move(params.variance.value[c], m.unbiased_variance(), rho);
  }
}

void BatchNorm::use_running(const NormParams& params, std::byte* saved) const {
  const Vectors v{vector(saved, 0), vector(saved, 1), vector(saved, 2), vector(saved, 3)};
  std::fill_n(reinterpret_cast<std::byte*>(v.mean), saved_bytes(), std::byte{0});
  for (size_t c = 0; c < static_cast<size_t>(desc_.shape.c); ++c)
    set_channel(v, c, params.mean.value[c], params.variance.value[c], params.gamma.value[c], params.beta.value[c]);
}

void BatchNorm::use_bias(std::span<const float> bias, std::byte* saved) const {
  std::fill_n(saved, saved_bytes(), std::byte{0});
  for (const int which : {1, 2}) std::fill_n(vector(saved, which), bias.size(), 1.0f);
  std::copy(bias.begin(), bias.end(), vector(saved, 3));
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
  const float *inv_std = vector(saved, 1), *scale = vector(saved, 2);
  for (size_t c = 0; c < channels; ++c) {
    const double s = inv_std[c];
    if (mode != Write::none) {
      deliver(params.beta.grad[c], sum_dz[c], mode);
      deliver(params.gamma.grad[c], sum_dz_x[c] * s, mode);
    }
    offset[c] = static_cast<float>(-scale[c] * sum_dz[c] / n);
    slope[c] = static_cast<float>(-scale[c] * s * s * sum_dz_x[c] / n);
  }
  normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {offset, slope}, dx);
}

}  // namespace dn
