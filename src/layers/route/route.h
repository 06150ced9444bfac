// [route]: puts the channels of earlier layers one after another, each whole or one of `groups` equal parts (compatibility notes 4.4).
//   y = concat over sources of x_s[group_id * C_s / groups, (group_id + 1) * C_s / groups)
// A single whole source is a view: no memory, no step. Backward keeps nothing: it copies the slices back.
//
//   [route]                 [route]
//   layers=-1,8             layers=-1
//                           groups=2
//                           group_id=1
#pragma once

#include "nn/layer.h"

namespace dn {

struct RouteSpec {
  std::vector<int> layers;  // as written; negative counts back
  int groups = 1, group_id = 0;
};

class Route : public Layer {
 public:
  static std::unique_ptr<Route> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Route& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Route& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const RouteSpec& spec() const { return spec_; }
  std::vector<int> sources() const override { return sources_; }
  Shape output_shape(std::span<const Shape> in) const override;
  bool is_view() const override { return sources_.size() == 1 && spec_.groups == 1; }
  bool is_concatenation() const override { return sources_.size() > 1 && spec_.groups == 1; }
  int slice_of_source(const Shape& in) const override {
    return sources_.size() == 1 && spec_.groups > 1 ? spec_.group_id * (in.c / spec_.groups) : -1;
  }
  bool writes_slices() const override { return true; }
  bool reads_slices() const override { return true; }
  std::string summary(std::span<const Shape> in) const override;

 private:
  Route(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  RouteSpec spec_;
  std::vector<int> sources_;
};

}  // namespace dn
