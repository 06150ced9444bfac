// Training kernel: oneDNN convolutions around nn/norm.h; inference too, where the normalization cannot be folded into the weights.
//   saved[0]  the convolution's output (unless there is neither normalization nor a non-linear activation)
//   saved[1]  vectors of the normalization
// Backward turns dy into dz; where dy is a slice of a wider gradient, the saved output z, which is dense, as convolutions need it.
// Many images are convolved some at a time (convolutional_images_cpu.h), in the order of the images, so that a large batch needs no more beside its
// tensors than a small one.
#include "layers/convolutional/convolutional_cpu.h"

#include <algorithm>
#include <optional>

#include "base/aligned.h"
#include "layers/convolutional/binarize.h"
#include "layers/convolutional/convolutional_images_cpu.h"
#include "layers/convolutional/excitation.h"
#include "layers/convolutional/mean_patch_cpu.h"
#include "nn/chain.h"
#include "nn/weight_standardization.h"

namespace dn {

cpu::ConvShape conv_shape(const Convolutional& layer, const KernelArgs& args) {
  const ConvolutionalSpec& s = layer.spec();
  return {args.x[0].shape, args.y.shape, args.x[0].block, args.y.block, s.size, s.stride_x, s.stride_y, s.padding, s.dilation, s.groups};
}

ConvParams conv_params(const Convolutional& layer, const Io& io) {
  return {norm_params(layer.norm(), io.params[0], io.params.subspan(1), io.norm), io.params.back()};
}

void make_weights(const Convolutional& layer, std::span<const float> weights, std::span<float> out) {
  const size_t filters = static_cast<size_t>(layer.spec().filters);
  layer.signs() ? binarize_weights(weights, filters, out) : standardize(weights, filters, out);
}

namespace {

// Images convolved at a time.
constexpr int kImagesAtOnce = 16;

class ConvTrainingKernel : public Kernel {
 public:
  ConvTrainingKernel(const Convolutional& layer, cpu::Device& device, const KernelArgs& args)
      : layer_(layer),
        device_(device),
        args_(args),
        z_(args.y.dense()),
        norm_(make_norm(layer.norm(), z_, layer.activation(), device.threads(), !args.training || args.frozen)),
        direct_output_(!layer.normalized() && layer.activation() == Activation::linear),
        jacobian_(args.backward && !args.frozen && layer.norm().wants_jacobian()) {
    const int images = args.y.shape.n, rest = images % kImagesAtOnce;
    if (images >= kImagesAtOnce) full_.emplace(part(layer, kImagesAtOnce));
    if (rest > 0) rest_.emplace(part(layer, rest));
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (keeps_output()) n.saved = {z_.bytes(), norm_->saved_bytes()}, n.saved_once = n.output_phase = 1;
    if (args_.backward) n.backward_scratch = norm_->backward_scratch_bytes();
    n.forward_scratch = forward_scratch_bytes();
    for (const auto* some : {&full_, &rest_})
      if (*some && args_.backward) n.backward_scratch = std::max(n.backward_scratch, (*some)->backward_scratch());
    if (jacobian_) n.forward_scratch = std::max(n.forward_scratch, n.backward_scratch);
    if (!args_.training) n.forward_scratch += norm_->saved_bytes();
    const size_t weights = layer_.params({&args_.x[0].shape, 1}).back().count * sizeof(float);
    if (makes_weights(layer_)) n.kept += (args_.backward && layer_.norm().standardize ? 2 : 1) * weights;
    if (jacobian_) n.kept += weights * static_cast<size_t>(1 + 2 * layer_.norm().window);
    return n;
  }

  int forward_phases() const override { return direct_output_ ? 1 : 2; }

  void forward(const Io& io, const Pass& pass) override {
    ConvParams params = conv_params(layer_, io);
    const Tensor z = output_of_convolution(io);
    std::byte* const vectors = args_.training ? (direct_output_ ? nullptr : io.saved[1]) : io.scratch + forward_scratch_bytes();
    if (pass.phase == 0) {
      use_made(params, pass);
      float* const out = direct_output_ ? io.y.data : z.data;
      for_images([&](const ConvImages& some, size_t first) {
        some.forward(io.x[0].data + first * args_.x[0].image_stride(), params, out + first * z_.image_stride(), io.scratch);
      });
      if (direct_output_) return;
      WeightJacobian jacobian;
      if (jacobian_ && !pass.again) {
        jacobian = differentiate(io, params, z);
        params.norm.jacobian = &jacobian;
      }
      norm_->collect(z, params.norm, vectors, pass);
    }
    if (pass.phase == 1) norm_->apply(z, params.norm, vectors, io.y);
  }

  void backward(const Io& io, const Pass& pass) override {
    ConvParams params = conv_params(layer_, io);
    const Tensor dz = io.dy.desc == z_ ? io.dy : output_of_convolution(io);
    if (direct_output_)
      bias_backward(io, params, pass);
    else
      norm_->backward(output_of_convolution(io), io.dy, params.norm, io.saved[1], io.scratch, pass, dz);
    const ParamView weights = params.weights;
    use_made(params, pass);
    const bool standardized = layer_.norm().standardize;   // the gradient of signs goes straight through
    if (standardized) {
      gradient_.resize(weights.grad.size());
      params.weights.grad = gradient_;
    }
    for_images([&](const ConvImages& some, size_t first) {
      const float* const x = io.x[0].data + first * args_.x[0].image_stride();
      const bool add = first > 0 || (pass.param_grads == Write::accumulate && !standardized);
      some.weights_gradient(x, dz.data + first * z_.image_stride(), params, add, io.scratch);
    });
    if (standardized) standardize_backward(weights.value, static_cast<size_t>(args_.y.shape.c), gradient_, pass.param_grads, weights.grad);
    if (args_.dx[0] == Write::none) return;
    for_images([&](const ConvImages& some, size_t first) {
      const Tensor dx{io.dx[0].desc, io.dx[0].data + first * io.dx[0].desc.image_stride()};
      some.input_gradient(dz.data + first * z_.image_stride(), params, dx, io.scratch);
    });
  }

 private:
  bool keeps_output() const { return !direct_output_ && args_.training; }
  Tensor output_of_convolution(const Io& io) const { return {z_, keeps_output() ? reinterpret_cast<float*>(io.saved[0]) : io.y.data}; }

  size_t forward_scratch_bytes() const {   // before the vectors of the normalization, at inference
    size_t bytes = 0;
    for (const auto* some : {&full_, &rest_})
      if (*some) bytes = std::max(bytes, (*some)->forward_scratch());
    return round_up(bytes, size_t{64});
  }

  ConvImages part(const Convolutional& layer, int images) const {
    KernelArgs args = args_;
    args.x[0].shape.n = args.y.shape.n = images;
    args.y = args.y.dense();
    return ConvImages(layer, device_, args, direct_output_);
  }

  // body(convolutions of some images, index of the first of them)
  template <class Body>
  void for_images(const Body& body) const {
    int first = 0;
    for (; first + kImagesAtOnce <= args_.y.shape.n; first += kImagesAtOnce) body(*full_, static_cast<size_t>(first));
    if (rest_) body(*rest_, static_cast<size_t>(first));
  }

  // Puts the weights that are convolved into `params`, made again when the weights moved.
  void use_made(ConvParams& params, const Pass& pass) {
    if (!makes_weights(layer_)) return;
    if (made_.empty() || version_ != pass.weights_version) {
      made_.resize(params.weights.value.size());
      make_weights(layer_, params.weights.value, made_);
      version_ = pass.weights_version;
    }
    params.weights.value = made_;
  }

  // Derivatives of each filter's mean and mean square by its weights: E[P] and 2 E[z P] over the patches P that it saw.
  WeightJacobian differentiate(const Io& io, const ConvParams& params, const Tensor& z) {
    ConvParams into = params;
    square_.resize(params.weights.value.size());
    into.weights.grad = square_;
    for_images([&](const ConvImages& some, size_t first) {
      some.weights_gradient(io.x[0].data + first * args_.x[0].image_stride(), z.data + first * z_.image_stride(), into, first > 0, io.scratch);
    });
    const float share = 2 / (static_cast<float>(z_.shape.n) * static_cast<float>(z_.shape.plane()));
    for (float& v : square_) v *= share;
    mean_ = mean_patch(device_.threads(), io.x[0], conv_shape(layer_, args_));
    return {params.weights.value, mean_, square_};
  }

  void bias_backward(const Io& io, const ConvParams& params, const Pass& pass) {
    const std::vector<float> zero(static_cast<size_t>(args_.y.padded_channels()), 0.0f), one(zero.size(), 1.0f);
    std::vector<double> sums(static_cast<size_t>(args_.y.shape.c)), unused(sums.size());
    gradient_sums(device_.threads(), io.dy, io.dy, {zero.data(), one.data(), zero.data()}, Activation::linear, sums, unused);
    for (size_t c = 0; c < sums.size(); ++c) deliver(params.norm.beta.grad[c], sums[c], pass.param_grads);
  }

  const Convolutional& layer_;
  cpu::Device& device_;
  KernelArgs args_;
  TensorDesc z_;      // the convolution's own output, dense
  std::unique_ptr<Norm> norm_;
  bool direct_output_, jacobian_;
  std::optional<ConvImages> full_, rest_;   // kImagesAtOnce images; what is left of them
  AlignedFloats made_, gradient_;           // the weights that are convolved where others are learned; weight standardization: their gradient
  uint64_t version_ = 0;
  AlignedFloats square_;
  std::vector<float> mean_;                 // WeightJacobian, where the normalization wants it
};

}  // namespace

std::unique_ptr<Kernel> compile_conv_training(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ConvTrainingKernel>(layer, device, args);
}

namespace {

std::unique_ptr<Kernel> compile_convolution(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  const NormSpec& norm = layer.norm();
  if (norm.batch_statistics() && args.training && !args.frozen) check_statistics(layer, args.y.shape);
  const bool foldable = !norm.any() || norm.batch_statistics();
  if (foldable && (!args.training || (args.frozen && !args.backward))) return compile_conv_inference(layer, device, args);
  return compile_conv_training(layer, device, args);
}

// From the inside out: signs of the input, convolution, activation over channels, excitation, blur.
std::unique_ptr<Kernel> compile_behind_signs(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  if (!layer.spec().xnor) return compile_convolution(layer, device, args);
  const bool wanted = !args.dx.empty() && args.dx[0] != Write::none;
  const ChainArgs links = chain_args(args, args.x[0].dense(), wanted);
  return chain(compile_binarize(device, links.first), compile_convolution(layer, device, links.second), links);
}

std::unique_ptr<Kernel> compile_activated(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  if (layer.channel_activation() == ChannelActivation::none) return compile_behind_signs(layer, device, args);
  const ChainArgs links = chain_args(args, args.y.dense(), true);
  return chain(compile_behind_signs(layer, device, links.first), compile_channel_activation(layer.channel_activation(), device, links.second), links);
}

std::unique_ptr<Kernel> compile_excited(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  const int key = layer.spec().assisted_excitation;
  if (key == 0 || !args.training || args.frozen) return compile_activated(layer, device, args);
  const ChainArgs links = chain_args(args, args.y.dense(), true);
  return chain(compile_activated(layer, device, links.first), compile_excitation(key, device, links.second), links);
}

}  // namespace

std::unique_ptr<Kernel> Convolutional::compile_cpu(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  return antialiased(layer.antialias(), device, args, layer.convolved_shape(args.x[0].shape),
                     [&](const KernelArgs& own) { return compile_excited(layer, device, own); });
}

}  // namespace dn
