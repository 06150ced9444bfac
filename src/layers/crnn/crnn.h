// [crnn]: a convolutional recurrent layer over the frames of sequences (compatibility notes 4.20). Three convolutions in, self, out of one kind:
//   s_t = in(x_t) + self(s_{t-1})  (shortcut: + s_{t-1}),   y_t = out(s_t),   s_{-1} = 0
// In training the images of a mini-batch are time_steps frames of each of its sequences, as NetSpec::frame_place says, and the gradient goes back
// through time over all of them. The statistics of in and out are those of the whole mini-batch; those of self of the frames of one step, and the
// step leaves no trace in its running ones, for the state before it is zero. At inference every image of a call is a sequence of its own. A sequence
// starts anew unless Pass::continues, in training too; the gradient does not go back into the call before. `stride` is the one of in; self and out keep its size. Parameters: in, self, out, each as [convolutional] has them.
//
//   [crnn]
//   batch_normalize=1
//   size=3
//   pad=1
//   hidden=128
//   output=256
//   activation=leaky
#pragma once

#include <array>

#include "nn/conv_part.h"
#include "nn/layer.h"

namespace dn {

struct CrnnSpec : ConvPartSpec {
  int hidden = 1, output = 1;
  bool shortcut = false;
};

class Crnn : public Layer {
 public:
  enum Part { kIn, kSelf, kOut, kParts };

  static std::unique_ptr<Crnn> parse(const Section& section, const NetSpec& net, int index, Problems& problems, const LayerType& convolution);
  static std::unique_ptr<Kernel> compile_cpu(const Crnn& layer, cpu::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const CrnnSpec& spec() const { return spec_; }
  const Layer& part(int which) const { return *parts_[static_cast<size_t>(which)]; }
  std::unique_ptr<Kernel> compile_part(int which, cpu::Device& device, const KernelArgs& args) const {
    return convolution_.compile_cpu(part(which), device, args);
  }
  int time_steps() const { return time_steps_; }
  Shape state_shape(const Shape& in) const { return part(kIn).output_shape({&in, 1}); }
  std::vector<ParamSpec> part_params(int which, const Shape& in) const;

  Shape output_shape(std::span<const Shape> in) const override;
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;
  const NormSpec* normalization() const override { return &norm_; }
  bool recurrent() const override { return true; }

 private:
  Crnn(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  CrnnSpec spec_;
  NormSpec norm_;
  int time_steps_ = 1;
  LayerType convolution_{};
  std::array<std::unique_ptr<Layer>, kParts> parts_;
};

}  // namespace dn
