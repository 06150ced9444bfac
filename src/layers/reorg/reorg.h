// [reorg] and [reorg3d]: s x s squares of pixels become one pixel with s^2 times the channels (space to depth), and back with reverse=1
// (compatibility notes 4.8). With wide = [C, s H, s W], deep = [s^2 C, H, W]:
//   deep[k,j,i] = wide[k mod C, s j + o / s, s i + o mod s],   o = k / C
//   [reorg3d]            x is wide, y is deep
//   reverse=1 of either  x is deep, y is wide
//   [reorg]              the permutation that YOLOv2's weights were trained with. x [c,h,w] and y [s^2 c, h/s, w/s] are only other shapes of the same
//                        flat memory, between which the formula runs with C = c / s^2, H = h, W = w:  flat y = deep [c, h, w] of flat x = wide
// A permutation: backward keeps nothing, it is the same moves the other way round.
//
//   [reorg]
//   stride=2
#pragma once

#include "nn/layer.h"

namespace dn {

struct ReorgSpec {
  int stride = 1;
  bool reverse = false;
};

class Reorg : public Layer {
 public:
  static std::unique_ptr<Reorg> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Reorg& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Reorg& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  // Row j of channel k of the smaller map (y; with reverse x) lies in the larger one: its pixel i is [channel, row, column + i * stride] there.
  struct Row {
    int channel, row, column;
  };
  Row row_in_large(const Shape& large, int k, int j) const;

  const ReorgSpec& spec() const { return spec_; }
  bool flat() const { return type() == "reorg" && !spec_.reverse; }  // YOLOv2's permutation
  Shape output_shape(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape> in) const override;

 private:
  Reorg(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  ReorgSpec spec_;
};

}  // namespace dn
