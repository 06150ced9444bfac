// [shortcut]: adds earlier layers to the previous one, plain or with learned weights (compatibility notes 4.3).
//   y = f(sum_s g_s[c] x_s[c]),   x_0 the layer before, then `from` in order; g = 1 without weights_type
// Sources may differ in channels: the leading min(C_s, C_0) channels take part, y has the shape of x_0. A source whose map is k times as large gives
// every k-th value of every k-th row, x_s[c, k i, k j], as the bottleneck blocks of resnet50.cfg need it behind a convolution of stride 2; one that is
// k times smaller is added to every k-th value. (The family's first program does so; the other one adds such maps in the order of memory.)
// weights_type per_feature (= per_layer): one w_s a source; per_channel: w_s[c]. They start at 1; stored as [source][channel]. Normalized:
//   relu (= avg_relu): g_s = r_s / (sum_j r_j + 1e-4), r = max(w, 1e-3)      softmax: g_s = e_s / (sum_j e_j + 1e-4), e_s = exp(w_s - max_j w_j)
// The floor 1e-3 is the one of the family's GPU path, which is normative here. The weights' gradient is the exact derivative of these formulas; the
// sum over a batch is clamped to +-1 and no decay applies.
// Backward keeps: nothing for a linear unweighted sum; y for the leaky family (its sign is the sum's); the inputs otherwise.
//
//   [shortcut]
//   from=-3
//   activation=linear
#pragma once

#include "nn/activation.h"
#include "nn/layer.h"

namespace dn {

struct ShortcutSpec {
  std::vector<int> from;  // as written; negative counts back
  std::string activation = "linear";
  std::string weights_type = "none";
  std::string weights_normalization = "none";
};

enum class MixNorm { relu, softmax };

// k where a source's map is k times as large as the output's, -k where it is k times smaller, 1: equal, 0: neither. A size that k does not divide may be
// rounded either way; a convolution with stride k rounds up.
int sampling_step(const Shape& source, const Shape& out);

class Shortcut : public Layer {
 public:
  static std::unique_ptr<Shortcut> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Shortcut& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Shortcut& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const ShortcutSpec& spec() const { return spec_; }
  Activation activation() const { return activation_; }
  bool weighted() const { return spec_.weights_type != "none"; }
  bool per_channel() const { return spec_.weights_type == "per_channel"; }
  MixNorm norm() const { return spec_.weights_normalization == "softmax" ? MixNorm::softmax : MixNorm::relu; }
  std::vector<int> sources() const override { return sources_; }
  Shape output_shape(std::span<const Shape> in) const override;
  std::vector<ParamSpec> params(std::span<const Shape> in) const override;
  double forward_flops(std::span<const Shape> in) const override;
  bool is_sum(std::span<const Shape> in) const override { return in.size() == 2 && in[0] == in[1] && activation_ == Activation::linear && !weighted(); }
  std::string summary(std::span<const Shape> in) const override;

 private:
  Shortcut(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  ShortcutSpec spec_;
  std::vector<int> sources_;  // the layer before, then `from`
  Activation activation_ = Activation::linear;
};

}  // namespace dn
