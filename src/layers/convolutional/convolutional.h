// [convolutional]: y = activate(norm(conv(x))), or activate(conv(x) + bias) without batch_normalize. Cross-correlation; weights [O, I/groups, k, k].
//   out = (in + 2 padding - size) / stride + 1; dilation spreads the taps and the padding alike, so it needs padding = (size - 1) / 2.
// Backward keeps x and the convolution's output; z = gamma xh + beta is recomputed. The unit of fusion: normalise + activate is one sweep.
// What some cfgs add around that, each a step of its own: signs in place of inputs and weights (binarize.h), activations over channels
// (channel_activation.h), raised labelled pixels (excitation.h), a blur that takes the stride (nn/antialias.h).
//   [convolutional]
//   batch_normalize=1
//   filters=32
//   size=3
//   stride=1
//   pad=1
//   activation=leaky
#pragma once

#include "layers/convolutional/channel_activation.h"
#include "nn/activation.h"
#include "nn/antialias.h"
#include "nn/layer.h"

namespace dn {

struct ConvolutionalSpec {
  int filters = 1, groups = 1, size = 1, stride = 1, stride_x = 0, stride_y = 0, dilation = 1, padding = 0;
  int share_index = 0, antialiasing = 0, assisted_excitation = 0;
  bool pad = false, binary = false, xnor = false;
  std::string activation = "logistic";
};

class Convolutional : public Layer {
 public:
  static std::unique_ptr<Convolutional> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Convolutional& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Convolutional& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  Shape output_shape(std::span<const Shape> in) const override;
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;
  bool reads_plain(const Shape& in) const override { return in.c <= 3 && spec_.groups == 1; }
  bool writes_slices() const override { return normalized() || activation_ != Activation::linear || steps_behind(); }   // by what is behind the convolution
  bool adds_to_slices() const override { return true; }
  bool finishes_sums(const Shape& in) const override;

  int shares_parameters_of() const override { return shared_; }

  const ConvolutionalSpec& spec() const { return spec_; }   // strides and padding resolved; with antialiasing the strides are 1
  const Antialias& antialias() const { return antialias_; }
  Shape convolved_shape(const Shape& in) const;             // before the blur
  bool signs() const { return spec_.binary || spec_.xnor; } // of weights
  const NormSpec* normalization() const override { return &norm_; }
  const NormSpec& norm() const { return norm_; }
  bool normalized() const { return norm_.any(); }
  Activation activation() const { return activation_; }     // linear where there is one over channels
  ChannelActivation channel_activation() const { return channel_activation_; }

 private:
  using Layer::Layer;
  bool steps_behind() const { return channel_activation_ != ChannelActivation::none || spec_.assisted_excitation > 0 || antialias_; }

  ConvolutionalSpec spec_;
  NormSpec norm_;
  Activation activation_ = Activation::linear;
  ChannelActivation channel_activation_ = ChannelActivation::none;
  Antialias antialias_;
  int shared_ = -1;
};

}  // namespace dn
