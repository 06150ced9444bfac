// [shortcut]: adds earlier layers to the previous one, plain or with learned weights (compatibility notes 4.3).
//   y = f(sum_s g_s[c] x_s[c]),   x_0 the layer before, then `from` in order; g = 1 without weights_type
// Sources may differ in channels (not in width and height): the leading min(C_s, C_0) channels take part, y has the shape of x_0.
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

class Shortcut : public Layer {
 public:
  static std::unique_ptr<Shortcut> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Shortcut& layer, cpu::Device& device, const KernelArgs& args);
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
  std::string summary(std::span<const Shape> in) const override;

 private:
  Shortcut(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  ShortcutSpec spec_;
  std::vector<int> sources_;  // the layer before, then `from`
  Activation activation_ = Activation::linear;
};

}  // namespace dn
