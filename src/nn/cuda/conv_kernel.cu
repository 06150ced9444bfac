// cuDNN's convolution (device/cuda/convolution.h) around nn/cuda/norm.h.
//   saved[0]  the convolution's output z (unless there is neither normalization nor a non-linear activation)
//   saved[1]  vectors of the normalization
// The sweep that normalizes and activates adds the other source of a residual sum as well (KernelArgs::residual).
// Weights are learned in FP32 in the order of the file, OIHW, and packed as the convolution wants them, [K',R,S,C'/groups] in the device's precision,
// whenever they moved. Their gradient comes back in that form and is added up in FP32.
#include "nn/cuda/conv_kernel.h"

#include "device/cuda/launch.h"
#include "device/cuda/view.h"
#include "nn/cuda/layout.h"
#include "nn/cuda/norm.h"

namespace dn::cuda {
namespace {

// The learned weights and their packed form.
struct WeightForms {
  int filters, channels, size;           // of the file: [filters, channels, size, size]
  int packed_filters, packed_channels;   // with padding
  size_t learned() const { return static_cast<size_t>(filters) * static_cast<size_t>(channels) * taps(); }
  size_t packed() const { return static_cast<size_t>(packed_filters) * taps() * static_cast<size_t>(packed_channels); }
  DN_HD size_t taps() const { return static_cast<size_t>(size) * static_cast<size_t>(size); }
};

struct PackWeights {
  WeightForms form;
  const float* learned;
  View packed;
  DN_HD void operator()(size_t i) const {
    const size_t c = i % static_cast<size_t>(form.packed_channels), above = i / static_cast<size_t>(form.packed_channels), tap = above % form.taps();
    const size_t o = above / form.taps();
    const bool real = c < static_cast<size_t>(form.channels) && o < static_cast<size_t>(form.filters);
    packed.set(i, real ? learned[(o * static_cast<size_t>(form.channels) + c) * form.taps() + tap] : 0.0f);
  }
};

struct DeliverWeights {
  WeightForms form;
  View packed;
  float* gradient;
  bool add;
  DN_HD void operator()(size_t i) const {
    const size_t tap = i % form.taps(), above = i / form.taps(), c = above % static_cast<size_t>(form.channels), o = above / static_cast<size_t>(form.channels);
    const float value = packed.get((o * form.taps() + tap) * static_cast<size_t>(form.packed_channels) + c);
    gradient[i] = add ? gradient[i] + value : value;
  }
};

View flat(DType type, void* data) {
  View v;
  v.data = data, v.dtype = type;
  return v;
}

// Pieces of scratch, one behind the other, aligned as libraries like it.
class Carve {
 public:
  explicit Carve(std::byte* base) : at_(round_up(reinterpret_cast<uintptr_t>(base), kAlign)) {}
  void* take(size_t bytes) {
    void* const piece = reinterpret_cast<void*>(at_);
    at_ = round_up(at_ + bytes, kAlign);
    return piece;
  }
  static size_t bytes(std::initializer_list<size_t> pieces) {
    size_t all = kAlign;
    for (const size_t piece : pieces) all += round_up(piece, kAlign);
    return all;
  }

 private:
  static constexpr uintptr_t kAlign = 256;
  uintptr_t at_;
};

ConvProblem conv_problem(const ConvLayer& layer, const Device& device, const KernelArgs& args) {
  ConvProblem p;
  p.in = args.x[0].shape, p.out = args.y.shape;
  p.in.c = args.x[0].padded_channels(), p.out.c = args.y.padded_channels();
  p.size = layer.size, p.stride_x = layer.stride_x, p.stride_y = layer.stride_y;
  p.padding = layer.padding, p.dilation = layer.dilation, p.groups = layer.groups;
  p.dtype = device.dtype();
  p.wide = args.y.dtype != device.dtype();
  p.tensor_cores = device.options().precision != Precision::fp32;
  return p;
}

class ConvKernel : public Kernel {
 public:
  ConvKernel(const ConvLayer& layer, Device& device, const KernelArgs& args, std::unique_ptr<Norm> norm)
      : layer_(layer),
        device_(device),
        args_(args),
        problem_(conv_problem(layer, device, args)),
        z_(args.y.dense()),
        norm_(std::move(norm)),
        direct_output_(!layer.norm.any() && layer.activation == Activation::linear) {
    form_ = {args.y.shape.c, args.x[0].shape.c / layer.groups, layer.size, problem_.out.c, problem_.in.c / layer.groups};
    const TensorDesc& x = args.x[0];
    dense_x_ = {x.shape, x.block, 0, device.dtype(), true};
    packed_ = device.allocate(form_.packed() * bytes_of(device.dtype()));
    forward_ = device.convolutions().make(problem_, ConvDirection::forward);
    if (!args.backward) return;
    weights_ = device.convolutions().make(problem_, ConvDirection::backward_weights);
    if (args.dx[0] != Write::none) data_ = device.convolutions().make(problem_, ConvDirection::backward_data);
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (keeps_output()) n.saved = {z_.bytes(), norm_->saved_bytes()}, n.saved_once = n.output_phase = 1;
    n.forward_scratch = std::max(Carve::bytes({vectors_bytes(), forward_->workspace_bytes(), x_bytes()}), Carve::bytes({vectors_bytes(), norm_->scratch_bytes()}));
    if (args_.backward) {
      const size_t convolving = Carve::bytes({vectors_bytes(), x_bytes(), workspace_bytes(), gradient_bytes(), dense_x_.bytes()});
      n.backward_scratch = std::max(convolving, Carve::bytes({vectors_bytes(), norm_->scratch_bytes()}));
    }
    n.kept = packed_->bytes();
    return n;
  }

  int forward_phases() const override { return direct_output_ ? 1 : 2; }

  void prepare(const Io& io, const Pass& pass) override {
    norm_->prepare(pass);
    if (version_ == pass.weights_version) return;
    version_ = pass.weights_version;
    for_each(device_.stream(), form_.packed(), PackWeights{form_, weights(io).value.data(), flat(device_.dtype(), packed_->data())});
  }

  void forward(const Io& io, const Pass& pass) override {
    const NormParams params = this->params(io);
    const Tensor z = output_of_convolution(io);
    Carve scratch(io.scratch);
    std::byte* const vectors = keeps_output() ? io.saved[1] : static_cast<std::byte*>(scratch.take(vectors_bytes()));
    if (pass.phase == 0) {
      Carve convolving = scratch, normalizing = scratch;
      const void* const x = narrow_x(io.x[0], convolving.take(x_bytes()));
      forward_->run(device_.stream(), x, packed_->data(), z.data, convolving.take(forward_->workspace_bytes()));
      Pass collecting = pass;
      collecting.again &= keeps_output();   // vectors that are not kept are made once more
      norm_->collect(z, params, io.norm_updates, vectors, static_cast<std::byte*>(normalizing.take(norm_->scratch_bytes())), collecting);
    }
    if (direct_output_ || pass.phase == 1) norm_->apply(z, vectors, io.residual, io.y);
  }

  void backward(const Io& io, const Pass& pass) override {
    const NormParams params = this->params(io);
    const Tensor z = direct_output_ ? io.dy : output_of_convolution(io), dz = io.dy.desc == z_ && !args_.keeps_dy ? io.dy : z;
    Carve scratch(io.scratch);
    // Of a linear layer without normalization the sweep only adds up the biases' gradient: it needs no output.
    std::byte* const vectors = keeps_output() ? io.saved[1] : static_cast<std::byte*>(scratch.take(vectors_bytes()));
    Carve normalizing = scratch;
    std::byte* const sums = static_cast<std::byte*>(normalizing.take(norm_->scratch_bytes()));
    if (direct_output_) norm_->collect(z, params, io.norm_updates, vectors, sums, pass);
    norm_->backward(z, io.dy, params, vectors, sums, pass, dz);
    const void* const x = narrow_x(io.x[0], scratch.take(x_bytes()));
    void* const workspace = scratch.take(workspace_bytes());
    void* const gradient = scratch.take(gradient_bytes());
    if (pass.param_grads != Write::none) {
      weights_->run(device_.stream(), x, dz.data, gradient, workspace);
      for_each(device_.stream(), form_.learned(), DeliverWeights{form_, flat(weights_->weights_gradient_type(), gradient), weights(io).grad.data(),
                                                                       pass.param_grads == Write::accumulate});
    }
    if (!data_) return;
    const Tensor& dx = io.dx[0];
    const bool straight = args_.dx[0] == Write::overwrite && dx.desc == dense_x_;
    const Tensor made = straight ? dx : Tensor{dense_x_, static_cast<float*>(scratch.take(dense_x_.bytes()))};
    data_->run(device_.stream(), dz.data, packed_->data(), made.data, workspace);
    if (!straight) copy_tensor(device_.stream(), made, dx, args_.dx[0] == Write::accumulate);
  }

 private:
  const ParamView& weights(const Io& io) const { return io.params[layer_.weights]; }
  NormParams params(const Io& io) const { return norm_params(layer_.norm, io.params[0], io.params.subspan(layer_.norm_params), io.norm); }
  bool keeps_output() const { return !direct_output_ && args_.training; }
  // Where the normalization's vectors are not kept.
  size_t vectors_bytes() const { return keeps_output() ? 0 : norm_->saved_bytes(); }
  // An input in FP32, read by a loss too, is narrowed first.
  size_t x_bytes() const { return args_.x[0] == dense_x_ ? 0 : dense_x_.bytes(); }
  size_t gradient_bytes() const { return form_.packed() * bytes_of(weights_->weights_gradient_type()); }
  size_t workspace_bytes() const { return std::max(weights_->workspace_bytes(), data_ ? data_->workspace_bytes() : 0); }
  Tensor output_of_convolution(const Io& io) const { return {z_, keeps_output() ? reinterpret_cast<float*>(io.saved[0]) : io.y.data}; }

  const void* narrow_x(const Tensor& x, void* room) const {
    if (x.desc == dense_x_) return x.data;
    copy_tensor(device_.stream(), x, {dense_x_, static_cast<float*>(room)}, false);
    return room;
  }

  ConvLayer layer_;
  Device& device_;
  KernelArgs args_;
  ConvProblem problem_;
  TensorDesc z_, dense_x_;   // the convolution's own output; its input as it wants it
  std::unique_ptr<Norm> norm_;
  bool direct_output_;
  WeightForms form_;
  std::unique_ptr<Convolution> forward_, data_, weights_;
  std::unique_ptr<DeviceMemory> packed_;
  uint64_t version_ = 0;
};

}  // namespace

bool has_conv_kernel(const ConvLayer& layer, const Shape& in, int filters, bool constant) {
  const auto whole = [](int channels) { return channels % kEight == 0; };
  return has_norm(layer.norm, constant) && (layer.groups == 1 || (whole(in.c) && whole(filters)));
}

std::unique_ptr<Kernel> conv_kernel(const ConvLayer& layer, Device& device, const KernelArgs& args) {
  const bool constant = !args.training || args.frozen;
  if (!has_conv_kernel(layer, args.x[0].shape, args.y.shape.c, constant)) return nullptr;
  return std::make_unique<ConvKernel>(layer, device, args, make_norm(layer.norm, args.y.dense(), layer.activation, device, constant));
}

}  // namespace dn::cuda
