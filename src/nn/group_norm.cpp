#include "nn/group_norm.h"

#include <algorithm>

namespace dn {

template <class Body>
void GroupNorm::for_groups(const Body& body) const {
  const size_t groups = static_cast<size_t>(spec_.groups_of(desc_.shape.c)), per_group = channels() / groups;
  for (size_t n = 0; n < static_cast<size_t>(desc_.shape.n); ++n)
    for (size_t g = 0; g < groups; ++g) body(n * row() + g * per_group, n * channels() + g * per_group, g * per_group, per_group);
}

void GroupNorm::collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) {
  if (pass.again) return;
  std::vector<Moments> moments(channels() * static_cast<size_t>(desc_.shape.n));
  image_moments(threads_, x, moments);
  std::fill_n(saved, saved_bytes(), std::byte{0});  // padding lanes stay zero
  for_groups([&](size_t at, size_t index, size_t channel, size_t count) {
    Moments group;
    for (size_t i = 0; i < count; ++i) group.merge(moments[index + i]);
    const double inv_std = inverse_deviation(spec_, group.variance());
    for (size_t i = 0; i < count; ++i) {
      vectors_.at(saved, kMean)[at + i] = static_cast<float>(group.mean);
      vectors_.at(saved, kInvStd)[at + i] = static_cast<float>(inv_std);
      vectors_.at(saved, kScale)[at + i] = static_cast<float>(params.gamma.value[channel + i] * inv_std);
      vectors_.at(saved, kShift)[at + i] = params.beta.value[channel + i];
    }
  });
}

void GroupNorm::apply(const Tensor& x, const NormParams&, const std::byte* saved, const Tensor& y) const {
  normalize_activate(threads_, x, affine(saved), activation_, y);
}

void GroupNorm::backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                         const Tensor& dx) {
  std::vector<double> sum_dz(channels() * static_cast<size_t>(desc_.shape.n)), sum_dz_x(sum_dz.size()), gamma_gradient(sum_dz.size());
  image_gradient_sums(threads_, x, dy, affine(saved), activation_, sum_dz, sum_dz_x);
  float *offset = vectors_.at(scratch, 0), *slope = vectors_.at(scratch, 1);
  std::fill_n(scratch, backward_scratch_bytes(), std::byte{0});
  for_groups([&](size_t at, size_t index, size_t channel, size_t count) {
    double a = 0, b = 0;
    const double s = vectors_.at(saved, kInvStd)[at], values = static_cast<double>(count * desc_.shape.plane());
    for (size_t i = 0; i < count; ++i) {
      const double gamma = params.gamma.value[channel + i];
      a += gamma * sum_dz[index + i];
      b += gamma * sum_dz_x[index + i];
      gamma_gradient[index + i] = s * sum_dz_x[index + i];
    }
    for (size_t i = 0; i < count; ++i) {
      offset[at + i] = static_cast<float>(-s * a / values);
      slope[at + i] = static_cast<float>(-s * s * s * b / values);
    }
  });
  normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {offset, slope, row()}, dx);
  if (pass.param_grads == Write::none) return;
  if (!spec_.trains_affine()) std::ranges::fill(sum_dz, 0), std::ranges::fill(gamma_gradient, 0);
  deliver_images(params.beta.grad, sum_dz, pass.param_grads);
  deliver_images(params.gamma.grad, gamma_gradient, pass.param_grads);
}

}  // namespace dn
