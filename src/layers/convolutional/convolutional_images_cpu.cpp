#include "layers/convolutional/convolutional_images_cpu.h"

#include <algorithm>

#include "nn/elementwise.h"

namespace dn {
namespace {

size_t aligned(size_t bytes) { return round_up(bytes, size_t{64}); }

}  // namespace

ConvImages::ConvImages(const Convolutional& layer, cpu::Device& device, const KernelArgs& args, bool bias)
    : device_(device), args_(args), bias_(bias) {
  const cpu::ConvShape shape = conv_shape(layer, args);
  plain_ = cpu::plain_weights_desc(shape);
  bias_desc_ = cpu::bias_desc(shape);
  cpu::ConvOptions options;
  options.bias = bias;
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

size_t ConvImages::forward_scratch() const { return packed_bytes(forward_) + aligned(forward_.scratch_bytes); }

size_t ConvImages::backward_scratch() const {
  const size_t weights = aligned(weights_.weights.get_size()) + aligned(weights_.scratch_bytes);
  const size_t data = data_.primitive ? packed_bytes(data_) + aligned(data_.scratch_bytes) + temporary_bytes() : 0;
  return std::max(weights, data);
}

size_t ConvImages::packed_bytes(const cpu::ConvPrimitive& conv) const { return conv.weights == plain_ ? 0 : aligned(conv.weights.get_size()); }

// The weights as `conv` wants them: themselves, or packed at `scratch`, which moves on.
const float* ConvImages::packed(const cpu::ConvPrimitive& conv, const cpu::Reorder& pack, std::span<const float> weights, std::byte*& scratch) const {
  const size_t bytes = packed_bytes(conv);
  if (bytes == 0) return weights.data();
  float* to = reinterpret_cast<float*>(scratch);
  pack(device_, weights.data(), to);
  scratch += bytes;
  return to;
}

dnnl::memory ConvImages::scratchpad(const cpu::ConvPrimitive& conv, std::byte* at) const {
  return cpu::view(device_, cpu::scratch_desc(conv.scratch_bytes), at);
}

void ConvImages::execute(const cpu::ConvPrimitive& conv, const std::unordered_map<int, dnnl::memory>& arguments) const {
  conv.primitive.execute(device_.onednn().stream, arguments);
  device_.onednn().stream.wait();
}

void ConvImages::forward(const float* x, const ConvParams& params, float* out, std::byte* scratch) const {
  const float* w = packed(forward_, pack_forward_, params.weights.value, scratch);
  std::unordered_map<int, dnnl::memory> arguments{{DNNL_ARG_SRC, cpu::view(device_, forward_.src, x)},
                                                  {DNNL_ARG_WEIGHTS, cpu::view(device_, forward_.weights, w)},
                                                  {DNNL_ARG_DST, cpu::view(device_, forward_.dst, out)},
                                                  {DNNL_ARG_SCRATCHPAD, scratchpad(forward_, scratch)}};
  if (bias_) arguments.insert({DNNL_ARG_BIAS, cpu::view(device_, bias_desc_, params.norm.beta.value.data())});
  execute(forward_, arguments);
}

void ConvImages::weights_gradient(const float* x, const float* dz, const ConvParams& params, bool add, std::byte* scratch) const {
  // oneDNN overwrites, and mostly in a format of its own: the gradient goes through a temporary unless neither matters.
  const bool through = add || packed_bytes(weights_) > 0;
  float* out = through ? reinterpret_cast<float*>(scratch) : params.weights.grad.data();
  execute(weights_, {{DNNL_ARG_SRC, cpu::view(device_, weights_.src, x)},
                     {DNNL_ARG_DIFF_DST, cpu::view(device_, weights_.dst, dz)},
                     {DNNL_ARG_DIFF_WEIGHTS, cpu::view(device_, weights_.weights, out)},
                     {DNNL_ARG_SCRATCHPAD, scratchpad(weights_, scratch + aligned(weights_.weights.get_size()))}});
  if (through) (add ? unpack_and_add_ : unpack_)(device_, out, params.weights.grad.data());
}

void ConvImages::input_gradient(const float* dz, const ConvParams& params, const Tensor& dx, std::byte* scratch) const {
  const float* w = packed(data_, pack_data_, params.weights.value, scratch);
  const bool add = args_.dx[0] == Write::accumulate;
  float* out = dx.data;
  if (add) {
    out = reinterpret_cast<float*>(scratch);
    scratch += temporary_bytes();
  }
  execute(data_, {{DNNL_ARG_DIFF_SRC, cpu::view(device_, data_.src, out)},
                  {DNNL_ARG_WEIGHTS, cpu::view(device_, data_.weights, w)},
                  {DNNL_ARG_DIFF_DST, cpu::view(device_, data_.dst, dz)},
                  {DNNL_ARG_SCRATCHPAD, scratchpad(data_, scratch)}});
  if (add) add_images(device_.threads(), dx, {args_.x[0].dense(), out});
}

}  // namespace dn
