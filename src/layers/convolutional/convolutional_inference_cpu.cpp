// Inference kernel: batch normalization folded into weights and bias in double, activation as a post-op of the convolution where oneDNN has it.
//   w' = w gamma / sqrt(v + eps),  b' = beta - mean gamma / sqrt(v + eps)   with the running statistics
// The packed copy belongs to the kernel and is made again when the weights' version moved.
#include <optional>

#include "base/aligned.h"
#include "layers/convolutional/convolutional_cpu.h"

namespace dn {
namespace {

using dnnl::memory;

struct Eltwise {
  dnnl::algorithm algorithm;
  float alpha;
};

// Null: no post-op computes it (or not exactly enough); our own sweep runs behind the convolution.
std::optional<Eltwise> post_op(Activation activation) {
  switch (activation) {
    case Activation::leaky:
    case Activation::revleaky: return Eltwise{dnnl::algorithm::eltwise_relu, .1f};
    case Activation::relie: return Eltwise{dnnl::algorithm::eltwise_relu, .01f};
    case Activation::relu: return Eltwise{dnnl::algorithm::eltwise_relu, 0};
    case Activation::logistic: return Eltwise{dnnl::algorithm::eltwise_logistic, 0};
    case Activation::tanh: return Eltwise{dnnl::algorithm::eltwise_tanh, 0};
    case Activation::swish: return Eltwise{dnnl::algorithm::eltwise_swish, 1};
    case Activation::mish: return Eltwise{dnnl::algorithm::eltwise_mish, 0};
    default: return std::nullopt;
  }
}

class ConvInferenceKernel : public Kernel {
 public:
  ConvInferenceKernel(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) : layer_(layer), device_(device), args_(args) {
    cpu::ConvOptions options;
    options.bias = options.inference = true;
    const std::optional<Eltwise> eltwise = post_op(layer.activation());
    if (eltwise) {
      dnnl::post_ops ops;
#if DNNL_VERSION_MAJOR >= 3
      ops.append_eltwise(eltwise->algorithm, eltwise->alpha, 0);
#else
      ops.append_eltwise(1.0f, eltwise->algorithm, eltwise->alpha, 0);
#endif
      options.attributes.set_post_ops(ops);
      options.post_ops_name = layer.spec().activation;
      options.sweep = [this](float* y) { activate_only({args_.y, y}); };
    }
    zero_.assign(static_cast<size_t>(args.y.padded_channels()), 0.0f);
    one_.assign(zero_.size(), 1.0f);
    const cpu::ConvShape shape = conv_shape(layer, args);
    conv_ = cpu::make_convolution(device, shape, cpu::ConvDirection::forward, options);
    sweep_ = layer.activation() != Activation::linear && (!eltwise || !conv_.post_ops);
    plain_ = cpu::plain_weights_desc(shape);
    bias_.assign(static_cast<size_t>(args.y.padded_channels()), 0.0f);
  }

  Needs needs() const override {
    Needs n;
    n.forward_scratch = conv_.scratch_bytes;
    n.kept = conv_.weights.get_size();
    return n;
  }

  void forward(const Io& io, const Pass& pass) override {
    if (version_ != pass.weights_version) {
      pack(conv_params(layer_, io));
      version_ = pass.weights_version;
    }
    const memory::desc bias = cpu::bias_desc(conv_shape(layer_, args_));
    conv_.primitive.execute(device_.onednn().stream, {{DNNL_ARG_SRC, cpu::view(device_, conv_.src, io.x[0].data)},
                                                      {DNNL_ARG_WEIGHTS, packed_},
                                                      {DNNL_ARG_BIAS, cpu::view(device_, bias, bias_.data())},
                                                      {DNNL_ARG_DST, cpu::view(device_, conv_.dst, io.y.data)},
                                                      {DNNL_ARG_SCRATCHPAD, cpu::view(device_, cpu::scratch_desc(conv_.scratch_bytes), io.scratch)}});
    device_.onednn().stream.wait();
    if (!sweep_ && activate(layer_.activation(), 0.0) != 0) clear_padding(device_.threads(), io.y);  // a post-op may write act(0) there
    if (sweep_) activate_only(io.y);
  }

  void backward(const Io&, const Pass&) override { ensure(false, "an inference kernel has no backward"); }

 private:
  void activate_only(const Tensor& y) const {
    normalize_activate(device_.threads(), y, {zero_.data(), one_.data(), zero_.data()}, layer_.activation(), y);
  }

  void pack(const ConvParams& params) {
    const size_t filters = static_cast<size_t>(args_.y.shape.c), per_filter = params.weights.value.size() / filters;
    AlignedFloats folded(params.weights.value.begin(), params.weights.value.end());
    if (makes_weights(layer_)) make_weights(layer_, params.weights.value, folded);
    for (size_t o = 0; o < filters; ++o) {
      bias_[o] = params.norm.beta.value[o];
      if (!layer_.normalized()) continue;
      const double scale = params.norm.gamma.value[o] * inverse_deviation(layer_.norm(), params.norm.variance.value[o]);
      for (size_t i = o * per_filter; i < (o + 1) * per_filter; ++i) folded[i] = static_cast<float>(folded[i] * scale);
      bias_[o] = static_cast<float>(params.norm.beta.value[o] - params.norm.mean.value[o] * scale);
    }
    if (!packed_) packed_ = memory(conv_.weights, device_.onednn().engine);
    memory plain = cpu::view(device_, plain_, folded.data());
    // Through memory objects: the packed format may be one of oneDNN's own (Winograd).
    dnnl::reorder(plain, packed_).execute(device_.onednn().stream, plain, packed_);
    device_.onednn().stream.wait();
  }

  const Convolutional& layer_;
  cpu::Device& device_;
  KernelArgs args_;
  cpu::ConvPrimitive conv_;
  memory::desc plain_;
  memory packed_;
  AlignedFloats bias_, zero_, one_;
  bool sweep_ = false;
  uint64_t version_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> compile_conv_inference(const Convolutional& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ConvInferenceKernel>(layer, device, args);
}

}  // namespace dn
