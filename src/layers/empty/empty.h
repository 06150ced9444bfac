// [empty], also [silence]: the layer before under another index; no memory, no step (compatibility notes 4.21).
//
//   [empty]
#pragma once

#include "nn/layer.h"

namespace dn {

class Empty : public Layer {
 public:
  static std::unique_ptr<Empty> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Empty& layer, cpu::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys() { return {}; }

  Shape output_shape(std::span<const Shape> in) const override { return in[0]; }
  bool is_view() const override { return true; }

 private:
  using Layer::Layer;
};

}  // namespace dn
