// Training kernel: oneDNN convolutions around our fused normalise + activate sweeps.
//   saved[0]  the convolution's output (unless there is neither normalization nor a non-linear activation)
//   saved[1]  vectors of the normalization
//   scratch   weights in the format the primitive wants, its scratchpad, a temporary where a gradient must be added
// Backward turns dy into dz; where dy is a slice of a wider gradient, the saved output z, which is dense, as convolutions need it.
// Weights are repacked at every call: a pack moves the weights once, which is nothing beside the convolution, and no copy stays in memory.
#include "layers/convolutional/convolutional_cpu.h"

#include <algorithm>

#include "nn/elementwise.h"

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

using dnnl::memory;

size_t aligned(size_t bytes) { return round_up(bytes, size_t{64}); }

class ConvTrainingKernel : public Kernel {
 public:
  ConvTrainingKernel(const Convolutional& layer, cpu::Device& device, const KernelArgs& args)
      : layer_(layer),
        device_(device),
        args_(args),
        plain_(cpu::plain_weights_desc(conv_shape(layer, args))),
        z_(args.y.dense()),
        norm_(layer.norm(), z_, layer.activation(), device.threads()),
        direct_output_(!layer.normalized() && layer.activation() == Activation::linear) {
    const cpu::ConvShape shape = conv_shape(layer, args);
    cpu::ConvOptions options;
    options.bias = direct_output_;
    forward_ = cpu::make_convolution(device, shape, cpu::ConvDirection::forward, options);
    if (packed_bytes(forward_)) pack_forward_ = cpu::Reorder(device, plain_, forward_.weights);
    if (!args.backward) return;
    weights_ = cpu::make_convolution(device, shape, cpu::ConvDirection::backward_weights);
    unpack_ = cpu::Reorder(device, weights_.weights, plain_);
    unpack_and_add_ = cpu::Reorder(device, weights_.weights, plain_, true);
    if (args.dx[0] == Write::none) return;
    data_ = cpu::make_convolution(device, shape, cpu::ConvDirection::backward_data);
    if (packed_bytes(data_)) pack_data_ = cpu::Reorder(device, plain_, data_.weights);
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (!direct_output_) n.saved = {z_.bytes(), norm_.saved_bytes()};
    if (!direct_output_) n.saved_once = 1;
    n.forward_scratch = packed_bytes(forward_) + aligned(forward_.scratch_bytes);
    if (args_.backward) {
      const size_t weights = aligned(weights_.weights.get_size()) + aligned(weights_.scratch_bytes);
      const size_t data = data_.primitive ? packed_bytes(data_) + aligned(data_.scratch_bytes) + temporary_bytes() : 0;
      n.backward_scratch = std::max({weights, data, norm_.backward_scratch_bytes()});
    }
    return n;
  }

  int forward_phases() const override { return layer_.normalized() ? 2 : 1; }

  void forward(const Io& io, const Pass& pass) override {
    const ConvParams params = conv_params(layer_, io);
    if (pass.phase == 0) convolve(io, params);
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
    weights_gradient(io, params, pass, dz);
    if (data_.primitive) input_gradient(io, params, dz);
  }

 private:
  Tensor output_of_convolution(const Io& io) const { return {z_, reinterpret_cast<float*>(io.saved[0])}; }
  size_t packed_bytes(const cpu::ConvPrimitive& conv) const { return conv.weights == plain_ ? 0 : aligned(conv.weights.get_size()); }
  size_t temporary_bytes() const { return args_.dx[0] == Write::accumulate ? args_.x[0].bytes() : 0; }

  // The weights as `conv` wants them: themselves, or packed at `scratch`, which moves on.
  const float* packed(const cpu::ConvPrimitive& conv, const cpu::Reorder& pack, std::span<const float> weights, std::byte*& scratch) const {
    const size_t bytes = packed_bytes(conv);
    if (bytes == 0) return weights.data();
    float* to = reinterpret_cast<float*>(scratch);
    pack(device_, weights.data(), to);
    scratch += bytes;
    return to;
  }

  memory scratchpad(const cpu::ConvPrimitive& conv, std::byte* at) const {
    const memory::desc desc({static_cast<memory::dim>(conv.scratch_bytes)}, memory::data_type::u8, memory::format_tag::x);
    return cpu::view(device_, desc, at);
  }
  void execute(const cpu::ConvPrimitive& conv, const std::unordered_map<int, memory>& arguments) const {
    conv.primitive.execute(device_.onednn().stream, arguments);
    device_.onednn().stream.wait();
  }

  void convolve(const Io& io, const ConvParams& params) {
    std::byte* scratch = io.scratch;
    const float* w = packed(forward_, pack_forward_, params.weights.value, scratch);
    float* out = direct_output_ ? io.y.data : reinterpret_cast<float*>(io.saved[0]);
    std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, cpu::view(device_, forward_.src, io.x[0].data)},
                                              {DNNL_ARG_WEIGHTS, cpu::view(device_, forward_.weights, w)},
                                              {DNNL_ARG_DST, cpu::view(device_, forward_.dst, out)},
                                              {DNNL_ARG_SCRATCHPAD, scratchpad(forward_, scratch)}};
    if (direct_output_) {
      const memory::desc bias({args_.y.shape.c}, memory::data_type::f32, memory::format_tag::x);
      arguments.insert({DNNL_ARG_BIAS, cpu::view(device_, bias, params.norm.beta.value.data())});
    }
    execute(forward_, arguments);
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

  void weights_gradient(const Io& io, const ConvParams& params, const Pass& pass, const Tensor& dz) {
    // oneDNN overwrites, and mostly in a format of its own: the gradient goes through a temporary unless neither matters.
    const bool accumulate = pass.param_grads == Write::accumulate, through = accumulate || packed_bytes(weights_) > 0;
    float* out = through ? reinterpret_cast<float*>(io.scratch) : params.weights.grad.data();
    execute(weights_, {{DNNL_ARG_SRC, cpu::view(device_, weights_.src, io.x[0].data)},
                       {DNNL_ARG_DIFF_DST, cpu::view(device_, weights_.dst, dz.data)},
                       {DNNL_ARG_DIFF_WEIGHTS, cpu::view(device_, weights_.weights, out)},
                       {DNNL_ARG_SCRATCHPAD, scratchpad(weights_, io.scratch + aligned(weights_.weights.get_size()))}});
    if (through) (accumulate ? unpack_and_add_ : unpack_)(device_, out, params.weights.grad.data());
  }

  void input_gradient(const Io& io, const ConvParams& params, const Tensor& dz) {
    std::byte* scratch = io.scratch;
    const float* w = packed(data_, pack_data_, params.weights.value, scratch);
    const bool accumulate = args_.dx[0] == Write::accumulate;
    float* out = io.dx[0].data;
    if (accumulate) {
      out = reinterpret_cast<float*>(scratch);
      scratch += temporary_bytes();
    }
    execute(data_, {{DNNL_ARG_DIFF_SRC, cpu::view(device_, data_.src, out)},
                    {DNNL_ARG_WEIGHTS, cpu::view(device_, data_.weights, w)},
                    {DNNL_ARG_DIFF_DST, cpu::view(device_, data_.dst, dz.data)},
                    {DNNL_ARG_SCRATCHPAD, scratchpad(data_, scratch)}});
    if (accumulate) add_images(device_.threads(), io.dx[0], {args_.x[0].dense(), out});
  }

  const Convolutional& layer_;
  cpu::Device& device_;
  KernelArgs args_;
  memory::desc plain_;
  TensorDesc z_;      // the convolution's own output, dense
  BatchNorm norm_;
  bool direct_output_;
  cpu::ConvPrimitive forward_, data_, weights_;
  cpu::Reorder pack_forward_, pack_data_, unpack_, unpack_and_add_;
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
