#include "nn/norm.h"

#include <algorithm>
#include <cmath>

#include "nn/batch_norm.h"
#include "nn/filter_response_norm.h"
#include "nn/group_norm.h"
#include "nn/pixel_norm.h"

namespace dn {
namespace {

// No normalization: z = x + bias.
class BiasOnly : public Norm {
 public:
  BiasOnly(const TensorDesc& desc, Activation activation, int threads)
      : vectors_(static_cast<size_t>(desc.padded_channels())), activation_(activation), threads_(threads) {}
  size_t saved_bytes() const override { return vectors_.bytes(3); }
  size_t backward_scratch_bytes() const override { return 0; }

  void collect(const Tensor&, const NormParams& params, std::byte* saved, const Pass&) override {
    const std::span<const float> bias = params.beta.value;
    std::fill_n(saved, saved_bytes(), std::byte{0});
    std::fill_n(vectors_.at(saved, 1), bias.size(), 1.0f);
    std::ranges::copy(bias, vectors_.at(saved, 2));
  }

  void apply(const Tensor& x, const NormParams&, const std::byte* saved, const Tensor& y) const override {
    normalize_activate(threads_, x, affine(saved), activation_, y);
  }

  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte*, const Pass& pass, const Tensor& dx) override {
    const std::span<float> gradient = params.beta.grad;
    std::vector<double> sum_dz(gradient.size()), unused(gradient.size());
    gradient_sums(threads_, x, dy, affine(saved), activation_, sum_dz, unused);
    for (size_t c = 0; c < gradient.size(); ++c) deliver(gradient[c], sum_dz[c], pass.param_grads);
    normalize_activate_backward(threads_, x, dy, affine(saved), activation_, {}, dx);
  }

 private:
  ChannelAffine affine(const std::byte* saved) const { return {vectors_.at(saved, 0), vectors_.at(saved, 1), vectors_.at(saved, 2)}; }
  Vectors vectors_;
  Activation activation_;
  int threads_;
};

}  // namespace

std::unique_ptr<Norm> make_norm(const NormSpec& spec, const TensorDesc& desc, Activation activation, int threads, bool constant) {
  switch (spec.kind) {
    case NormKind::none: return std::make_unique<BiasOnly>(desc, activation, threads);
    case NormKind::lnc: return std::make_unique<PixelNorm>(spec, desc, activation, threads);
    case NormKind::frn: return std::make_unique<FilterResponseNorm>(spec, desc, activation, threads);
    case NormKind::gn:
    case NormKind::ln:
    case NormKind::in: return std::make_unique<GroupNorm>(spec, desc, activation, threads);
    default: return std::make_unique<BatchNorm>(spec, desc, activation, threads, constant);
  }
}

std::vector<ParamSpec> norm_param_specs(const NormSpec& spec, size_t channels) {
  if (!spec.any()) return {};
  std::vector<ParamSpec> out{{"scales", ParamRole::scale, channels, Init::one}};
  if (spec.batch_statistics()) {
    out.push_back({"rolling_mean", ParamRole::running_mean, channels, Init::zero});
    out.push_back({"rolling_variance", ParamRole::running_variance, channels, spec.variance_from_one ? Init::one : Init::zero});
  }
  if (spec.kind == NormKind::frn) out.push_back({"thresholds", ParamRole::bias, channels, Init::zero});
  return out;
}

NormParams norm_params(const NormSpec& spec, const ParamView& beta, std::span<const ParamView> behind, NormState* state) {
  NormParams out;
  out.beta = beta;
  out.state = state;
  if (spec.any()) out.gamma = behind[0];
  if (spec.batch_statistics()) out.mean = behind[1], out.variance = behind[2];
  if (spec.kind == NormKind::frn) out.threshold = behind[1];
  return out;
}

void check_norm_shape(const Layer& layer, const NormSpec& spec, const Shape& y) {
  if (!spec.any() || spec.batch_statistics()) return;
  const int groups = spec.groups_of(y.c);
  if (y.c % groups != 0) {
    const Entry* entry = layer.section().find("norm_groups");
    fail(layer.section().where(*entry), ": does not divide the ", y.c, " channels; expected a divisor of ", y.c);
  }
  const size_t values = spec.kind == NormKind::lnc ? static_cast<size_t>(y.c) : spec.kind == NormKind::frn ? y.plane() : y.per_image() / static_cast<size_t>(groups);
  if (values < 2)
    fail(layer.section().where(), ": norm = ", spec.text(), " over one value (output ", y.text(), "); expected at least 2 in each statistic");
}

void check_statistics(const Layer& layer, const Shape& y) {
  if (y.count() == static_cast<size_t>(y.c))
    fail(layer.section().where(), ": batch normalization over one value per channel (output ", y.text(), ", mini-batch ", y.n,
         "); expected at least 2: raise batch / subdivisions or the network's size");
}

void deliver_images(std::span<float> gradient, std::span<const double> values, Write mode) {
  const size_t images = values.size() / std::max<size_t>(gradient.size(), 1);
  if (images == 0 && mode == Write::overwrite) std::ranges::fill(gradient, 0.0f);
  for (size_t n = 0; n < images; ++n)
    for (size_t c = 0; c < gradient.size(); ++c) deliver(gradient[c], values[n * gradient.size() + c], n == 0 ? mode : Write::accumulate);
}

double inverse_deviation(const NormSpec& spec, double variance) { return batch_norm::inverse_std(spec, variance); }

}  // namespace dn
