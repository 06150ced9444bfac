// A Layer is the device-free description of one cfg section: where its inputs come from, what shape it gives, which parameters it has.
// Adding one is adding a folder under layers/ and one row to layers/registry.cpp.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/keys.h"
#include "config/net_spec.h"
#include "nn/kernel.h"
#include "nn/param.h"
#include "tensor/tensor.h"

namespace dn {

class Head;
namespace cpu {
class Device;
}
namespace cuda {
class Device;
}

inline constexpr int kNetworkInput = -1;  // as a source

// Keys that every section understands (compatibility notes 3.2).
struct LayerCommon {
  int stopbackward = 0;         // 1: this layer and all before it are frozen; N > 1: for the first N iterations
  bool train_only_bn = false;   // of this layer and all before it only running statistics move
  bool onlyforward = false;     // no backward through this layer
  bool dontload = false;        // the weights file holds nothing for this layer
  bool dontloadscales = false;  // ... no scales, means, variances
  float learning_rate = 1;      // factor on the global rate
  float clip = 0;               // > 0: weights are held in [-clip, clip]
  int dont_update = 0;          // the first so many iterations leave the parameters alone
  float burnin_update = 0;      // ... so many times burn_in
  bool grad_centr = false;      // the mean of a filter's gradient is taken from it
};

class Layer {
 public:
  Layer(const Section& section, int index, Problems& problems);  // binds the common keys
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  const Section& section() const { return section_; }
  const std::string& type() const { return section_.type; }
  int index() const { return index_; }
  const LayerCommon& common() const { return common_; }
  std::string where() const;   // "layer 57 (cfg/y.cfg:402: [convolutional])"
  std::string above() const;   // "layer 56", or "the network's input"

  // Indexes of the layers read, in the order of KernelArgs::x. Default: the one before.
  virtual std::vector<int> sources() const { return {index_ - 1}; }
  // Output for these inputs (same n). Throws Error, place first, when they do not fit.
  virtual Shape output_shape(std::span<const Shape> in) const = 0;
  virtual std::vector<ParamSpec> params(std::span<const Shape> /*in*/) const { return {}; }
  // The earlier layer whose parameters, running statistics included, it computes with instead of its own; -1: none.
  virtual int shares_parameters_of() const { return -1; }
  // The output is the only input itself, under another index: no memory, no step.
  virtual bool is_view() const { return false; }
  virtual double forward_flops(std::span<const Shape> /*in*/) const { return 0; }  // 2 x multiply-adds, for in.n images
  virtual std::string summary(std::span<const Shape> /*in*/) const { return {}; }   // for describe: "32  3x3/2  leaky"
  virtual bool resizable() const { return true; }        // may change its input size during a run (random=1)
  // Storage other than the device's blocked one. Only the first layer may read plain NCHW; only heads and losses write it.
  virtual bool reads_plain(const Shape& /*in*/) const { return false; }
  virtual bool writes_plain() const { return false; }
  // Copies that a plan can spare: an output that is nothing but its sources' channels side by side, or (channel of the source, else -1) a run of
  // channels of its only source.
  virtual bool is_concatenation() const { return false; }
  virtual int slice_of_source(const Shape& /*in*/) const { return -1; }
  // A sum of two sources of this shape and nothing else; and: on a GPU the layer's kernel, for such an input, can add the other source of a sum behind it
  // to its output (KernelArgs::residual), which spares the sum's pass over memory.
  virtual bool is_sum(std::span<const Shape> /*in*/) const { return false; }
  virtual bool finishes_sums(const Shape& /*in*/) const { return false; }
  // In such a place images lie further apart than they are long. Layers whose training kernel goes by the image_stride() of the tensors in Io say
  // so: for y and dy; for x; for dx where it accumulates. One image alone is dense anywhere in channel blocks; channels-last, pixels lie apart too.
  virtual bool writes_slices() const { return false; }
  virtual bool reads_slices() const { return false; }
  virtual bool adds_to_slices() const { return reads_slices(); }
  // Its normalization (nn/norm.h); null: it is not of those that have one.
  virtual const NormSpec* normalization() const { return nullptr; }
  // Why the .weights format cannot express this layer ("norm = gn"); empty: it can.
  virtual std::string weights_file_obstacle() const { return normalization() ? normalization()->weights_file_obstacle() : std::string(); }
  // The layer makes a gradient of its own in training (loss), so backward starts here.
  virtual bool has_loss() const { return false; }
  virtual const Head* head() const { return nullptr; }
  // Its images are the frames of sequences (NetSpec::frame_place).
  virtual bool recurrent() const { return false; }
  // Called once all layers are parsed, for relations to layers that it does not read: a loss and the head it learns from.
  virtual void relate(std::span<const std::unique_ptr<Layer>> /*all*/, Problems&) {}
  // Throws Error when the outputs of such layers do not fit this one; index = layer.
  virtual void check_relations(std::span<const Shape> /*outputs*/) const {}

 private:
  Section section_;
  int index_;
  LayerCommon common_;
};

std::vector<KeyHelp> common_key_help();

// Turns darknet's layer reference into an absolute index: negative counts back from `index`. Reports a problem (and gives kNetworkInput) when
// it is not the index of an earlier layer.
int resolve_layer(const Section& section, const Entry& entry, int written, int index, Problems& problems);

// One row of layers/registry.cpp.
struct LayerType {
  std::string_view name;
  std::unique_ptr<Layer> (*parse)(const Section&, const NetSpec&, int index, Problems&);
  std::unique_ptr<Kernel> (*compile_cpu)(const Layer&, cpu::Device&, const KernelArgs&);
  std::vector<KeyHelp> (*keys)();
  // Null, or giving null: there is no kernel for a GPU, or none for such a layer; the CPU's runs in its place (nn/cuda/host_fallback.h).
  std::unique_ptr<Kernel> (*compile_cuda)(const Layer&, cuda::Device&, const KernelArgs&) = nullptr;
};

// L::compile_cuda, where L has it.
template <class L>
constexpr auto cuda_compiler() -> std::unique_ptr<Kernel> (*)(const Layer&, cuda::Device&, const KernelArgs&) {
  if constexpr (requires(const L& layer, cuda::Device& device, const KernelArgs& args) { L::compile_cuda(layer, device, args); })
    return [](const Layer& layer, cuda::Device& device, const KernelArgs& args) { return L::compile_cuda(static_cast<const L&>(layer), device, args); };
  else
    return nullptr;
}

// L provides: static std::unique_ptr<L> parse(const Section&, const NetSpec&, int, Problems&);
//             static std::unique_ptr<Kernel> compile_cpu(const L&, cpu::Device&, const KernelArgs&);   static std::vector<KeyHelp> keys();
//       maybe static std::unique_ptr<Kernel> compile_cuda(const L&, cuda::Device&, const KernelArgs&);
template <class L>
constexpr LayerType layer_type(std::string_view name) {
  return {name,
          [](const Section& s, const NetSpec& net, int index, Problems& p) -> std::unique_ptr<Layer> { return L::parse(s, net, index, p); },
          [](const Layer& layer, cpu::Device& device, const KernelArgs& args) { return L::compile_cpu(static_cast<const L&>(layer), device, args); },
          [] { return L::keys(); }, cuda_compiler<L>()};
}

// A layer made of others, of section type Part. A layer knows no other's folder, so the registry hands the part's row to
// L::parse(section, net, index, problems, part).
template <class L, class Part>
constexpr LayerType composed_layer_type(std::string_view name) {
  LayerType type = {name, nullptr,
                    [](const Layer& layer, cpu::Device& device, const KernelArgs& args) { return L::compile_cpu(static_cast<const L&>(layer), device, args); },
                    [] { return L::keys(); }, nullptr};
  type.parse = [](const Section& s, const NetSpec& net, int index, Problems& p) -> std::unique_ptr<Layer> {
    return L::parse(s, net, index, p, layer_type<Part>("part"));
  };
  return type;
}

}  // namespace dn
