// Training kernel: oneDNN convolutions around our fused normalise + activate sweeps.
//   saved[0]  the convolution's output (unless there is neither normalization nor a non-linear activation)
//   saved[1]  vectors of the normalization
// Backward turns dy into dz; where dy is a slice of a wider gradient, the saved output z, which is dense, as convolutions need it.
// Many images are convolved some at a time (convolutional_images_cpu.h), in the order of the images, so that a large batch needs no more beside its
// tensors than a small one.
#include "layers/convolutional/convolutional_cpu.h"

#include <algorithm>
#include <optional>

#include "layers/convolutional/convolutional_images_cpu.h"

namespace dn {

cpu::ConvShape conv_shape(const Convolutional& layer, const KernelArgs& args) {
  const ConvolutionalSpec& s = layer.spec();
  return {args.x[0].shape, args.y.shape, args.x[0].block, args.y.block, s.size, s.stride_x, s.stride_y, s.padding, s.dilation, s.groups};
}

ConvParams conv_params(const Convolutional& layer, const Io& io) {
  ConvParams out;
  out.norm.beta = io.params[0];
  out.weights = io.params.back();
  if (layer.normalized()) {
    out.norm.gamma = io.params[1];
    out.norm.mean = io.params[2];
    out.norm.variance = io.params[3];
    out.norm.updates = io.norm_updates;
  }
  return out;
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
        norm_(layer.norm(), z_, layer.activation(), device.threads()),
        direct_output_(!layer.normalized() && layer.activation() == Activation::linear) {
    const int images = args.y.shape.n, rest = images % kImagesAtOnce;
    if (images >= kImagesAtOnce) full_.emplace(part(layer, kImagesAtOnce));
    if (rest > 0) rest_.emplace(part(layer, rest));
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (!direct_output_) n.saved = {z_.bytes(), norm_.saved_bytes()};
    if (!direct_output_) n.saved_once = 1;
    if (args_.backward) n.backward_scratch = norm_.backward_scratch_bytes();
    for (const auto* some : {&full_, &rest_}) {
      if (!*some) continue;
      n.forward_scratch = std::max(n.forward_scratch, (*some)->forward_scratch());
      if (args_.backward) n.backward_scratch = std::max(n.backward_scratch, (*some)->backward_scratch());
    }
    return n;
  }

  int forward_phases() const override { return layer_.normalized() ? 2 : 1; }

  void forward(const Io& io, const Pass& pass) override {
    const ConvParams params = conv_params(layer_, io);
    if (pass.phase == 0) {
      float* const out = direct_output_ ? io.y.data : reinterpret_cast<float*>(io.saved[0]);
      for_images([&](const ConvImages& some, size_t first) {
        some.forward(io.x[0].data + first * args_.x[0].image_stride(), params, out + first * z_.image_stride(), io.scratch);
      });
    }
    if (direct_output_) return;
    const Tensor z = output_of_convolution(io);
    if (!layer_.normalized()) {
      norm_.use_bias(params.norm.beta.value, io.saved[1]);
      norm_.apply(z, io.saved[1], io.y);
    } else if (pass.phase == 0) {
      if (args_.frozen)
        norm_.use_running(params.norm, io.saved[1]);
      else
        norm_.collect(z, params.norm, io.saved[1], pass);
    } else {
      norm_.apply(z, io.saved[1], io.y);
    }
  }

  void backward(const Io& io, const Pass& pass) override {
    const ConvParams params = conv_params(layer_, io);
    const Tensor dz = io.dy.desc == z_ ? io.dy : output_of_convolution(io);
    if (layer_.normalized())
      norm_.backward(output_of_convolution(io), io.dy, params.norm, io.saved[1], io.scratch, pass.param_grads, dz);
    else
      bias_backward(io, params, pass, dz);
    for_images([&](const ConvImages& some, size_t first) {
      const float* const x = io.x[0].data + first * args_.x[0].image_stride();
      some.weights_gradient(x, dz.data + first * z_.image_stride(), params, first > 0 || pass.param_grads == Write::accumulate, io.scratch);
    });
    if (args_.dx[0] == Write::none) return;
    for_images([&](const ConvImages& some, size_t first) {
      const Tensor dx{io.dx[0].desc, io.dx[0].data + first * io.dx[0].desc.image_stride()};
      some.input_gradient(dz.data + first * z_.image_stride(), params, dx, io.scratch);
    });
  }

 private:
  Tensor output_of_convolution(const Io& io) const { return {z_, reinterpret_cast<float*>(io.saved[0])}; }

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

  void bias_backward(const Io& io, const ConvParams& params, const Pass& pass, const Tensor& dz) {
    if (!direct_output_) {
      norm_.backward_bias(output_of_convolution(io), io.dy, params.norm.beta.grad, io.saved[1], pass.param_grads, dz);
      return;
    }
    const std::vector<float> zero(static_cast<size_t>(args_.y.padded_channels()), 0.0f), one(zero.size(), 1.0f);
    std::vector<double> sums(static_cast<size_t>(args_.y.shape.c)), unused(sums.size());
    gradient_sums(device_.threads(), io.dy, io.dy, {zero.data(), one.data(), zero.data()}, Activation::linear, sums, unused);
    for (size_t c = 0; c < sums.size(); ++c) deliver(params.norm.beta.grad[c], sums[c], pass.param_grads);
  }

  const Convolutional& layer_;
  cpu::Device& device_;
  KernelArgs args_;
  TensorDesc z_;      // the convolution's own output, dense
  BatchNorm norm_;
  bool direct_output_;
  std::optional<ConvImages> full_, rest_;   // kImagesAtOnce images; what is left of them
};

}  // namespace

std::unique_ptr<Kernel> compile_conv_training(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ConvTrainingKernel>(layer, device, args);
}

std::unique_ptr<Kernel> Convolutional::compile_cpu(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  if (layer.normalized()) check_statistics(layer, args);
  if (!args.training || (args.frozen && !args.backward)) return compile_conv_inference(layer, device, args);
  return compile_conv_training(layer, device, args);
}

}  // namespace dn
