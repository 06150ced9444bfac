// Normalization with the activation behind it, as every layer that normalizes uses it (convolutional, batchnorm, connected). One class per family
// of statistics; without normalization the same interface adds a bias.
//   forward    collect: statistics of x into `saved`;   apply: y = activate(gamma xh + beta)
//   backward   dz = dy activate'(z), dbeta = sum dz, dgamma = sum dz xh, dx
#pragma once

#include <memory>
#include <vector>

#include "config/norm_spec.h"
#include "nn/kernel.h"
#include "nn/layer.h"
#include "nn/norm_history.h"
#include "nn/normalize.h"

namespace dn {

// The parameters of one normalized layer; what it does not have is empty. gamma, beta, threshold: trained; mean, variance: running.
struct NormParams {
  ParamView beta, gamma, mean, variance, threshold;
  NormState* state = nullptr;
  const WeightJacobian* jacobian = nullptr;   // where NormSpec::wants_jacobian
};

class Norm {
 public:
  virtual ~Norm() = default;
  virtual size_t saved_bytes() const = 0;               // vectors between collect, apply and backward
  virtual size_t backward_scratch_bytes() const = 0;
  // Running statistics move here; values that are not finite leave no trace in them.
  virtual void collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) = 0;
  virtual void apply(const Tensor& x, const NormParams& params, const std::byte* saved, const Tensor& y) const = 0;   // y may be x
  // dx may be dy or x. pass.param_grads is for the gradients of beta, gamma and threshold.
  virtual void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                        const Tensor& dx) = 0;
};

// desc: of x. constant: running statistics even in training (frozen layers), and at inference.
std::unique_ptr<Norm> make_norm(const NormSpec& spec, const TensorDesc& desc, Activation activation, int threads, bool constant);

// What a layer of so many channels has behind its biases, in the order of the .weights file: scales, running statistics; of frn scales, thresholds.
std::vector<ParamSpec> norm_param_specs(const NormSpec& spec, size_t channels);
// The views in that order.
NormParams norm_params(const NormSpec& spec, const ParamView& beta, std::span<const ParamView> behind, NormState* state);

// What only the shapes tell: groups that do not divide the channels, a statistic of one value. At parse time; throws Error, place first.
void check_norm_shape(const Layer& layer, const NormSpec& spec, const Shape& y);
// Refuses batch statistics over a single value per channel in training. Throws Error, place first.
void check_statistics(const Layer& layer, const Shape& y);

// Vectors of `count` floats one after another, each aligned: the layout of `saved` and of scratch.
class Vectors {
 public:
  explicit Vectors(size_t count) : bytes_(round_up(count * sizeof(float), size_t{64})) {}
  size_t bytes(size_t vectors) const { return vectors * bytes_; }
  float* at(std::byte* base, int which) const { return reinterpret_cast<float*>(base + static_cast<size_t>(which) * bytes_); }
  const float* at(const std::byte* base, int which) const { return reinterpret_cast<const float*>(base + static_cast<size_t>(which) * bytes_); }

 private:
  size_t bytes_;
};

// Delivers a parameter gradient.
inline void deliver(float& gradient, double value, Write mode) {
  gradient = mode == Write::accumulate ? static_cast<float>(gradient + value) : static_cast<float>(value);
}
// The gradients of a whole parameter, image by image, so that the sum does not depend on how a batch is cut. values: [images, channels].
void deliver_images(std::span<float> gradient, std::span<const double> values, Write mode);

// 1 / the deviation as the layer's eps has it.
double inverse_deviation(const NormSpec& spec, double variance);

}  // namespace dn
