// [conv_lstm]: a convolutional LSTM over the frames of sequences (Shi et al. 2015; compatibility notes 4.20 and 8). s: logistic, a: lstm_activation,
// W, U, V: convolutions of one kind, each with its bias or normalization and `activation`; in the order of the weights file: V f,i,o (with `peephole`),
// W f,i,g,o of the state (with `bottleneck`: W f alone), U f,i,g,o of the input.
//   f = s(W_f h' + U_f x + V_f c')   i = s(W_i h' + U_i x + V_i c')   g = a(W_g h' + U_g x)   o = s(W_o h' + U_o x + V_o c)
//   c = clamp(f c' + i g, +-state_constrain)   h = o a(c)   y = h          h', c': those of the step before, zero in front of a sequence
//   bottleneck   b = a(W_f [h', x]); the gates are s(U b + V ..), without the other W; with `shortcut` the first half of b's channels is added to that
//                of h. So x has `output` channels, and stride = 1. (Liu and Zhu 2018, with the family's order of channels.)
//   time_normalizer   factor on the gradients of h' and c' from step to step
// Convolutions over channels and their gradients are exact, per image; where the family mixes up images (bottleneck of more than one) this does not.
// The wiring of bottleneck and shortcut is not in the notes: it is the family's as far as it is known. `stride` is the one of U.
// In training the images of a mini-batch are time_steps frames of each of its sequences, as NetSpec::frame_place says, and the gradient goes back through
// time over all of them. The statistics of U are those of the whole mini-batch (with bottleneck, of one step's frames, as those of W and V are); what sees
// only zeros at the first step leaves no trace in running statistics there. At inference every image of a call is a sequence of its own. A sequence
// starts anew unless Pass::continues, in training too; the gradient does not go back into the call before.
//
//   [conv_lstm]
//   batch_normalize=1
//   size=3
//   pad=1
//   output=256
//   peephole=0
//   activation=leaky
#pragma once

#include <array>

#include "nn/conv_part.h"
#include "nn/layer.h"

namespace dn {

struct ConvLstmSpec : ConvPartSpec {
  ConvLstmSpec() { activation = "linear"; }
  int output = 1;
  bool peephole = false, bottleneck = false, shortcut = false;
  std::string lstm_activation = "tanh";
  float state_constrain = -1;  // -1: 32 time_steps; resolved by parse; 0: none
  float time_normalizer = 1;
};

class ConvLstm : public Layer {
 public:
  enum Gate { kF, kI, kG, kO, kGates };
  enum Part { kVf, kVi, kVo, kWf, kWi, kWg, kWo, kUf, kUi, kUg, kUo, kParts };

  static std::unique_ptr<ConvLstm> parse(const Section& section, const NetSpec& net, int index, Problems& problems, const LayerType& convolution);
  static std::unique_ptr<Kernel> compile_cpu(const ConvLstm& layer, cpu::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const ConvLstmSpec& spec() const { return spec_; }
  bool has(int which) const { return parts_[static_cast<size_t>(which)] != nullptr; }
  const Layer& part(int which) const { return *parts_[static_cast<size_t>(which)]; }
  std::unique_ptr<Kernel> compile_part(int which, cpu::Device& device, const KernelArgs& args) const {
    return convolution_.compile_cpu(part(which), device, args);
  }
  int time_steps() const { return time_steps_; }
  Activation activation() const { return activation_; }
  Shape part_input(int which, const Shape& in) const;
  std::vector<ParamSpec> part_params(int which, const Shape& in) const;

  Shape output_shape(std::span<const Shape> in) const override;
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;
  const NormSpec* normalization() const override { return &norm_; }
  bool recurrent() const override { return true; }

 private:
  ConvLstm(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  bool wanted(int which) const;
  ConvLstmSpec spec_;
  NormSpec norm_;
  Activation activation_ = Activation::tanh;
  int time_steps_ = 1;
  LayerType convolution_{};
  std::array<std::unique_ptr<Layer>, kParts> parts_;
};

}  // namespace dn
