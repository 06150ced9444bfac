// antialiasing of [convolutional], [maxpool] and [local_avgpool] (compatibility notes 4.1): the layer's own step is 1, and a fixed blur, each channel for
// itself, behind it takes the step that was asked for (Zhang 2019).
//   1   binomial, (1 2 1) x (1 2 1) / 16, a border of one zero on each side:   out = (in - 1) / stride + 1
//   2   mean of 2 x 2, no border:                                            out = (in - 2) / stride + 1
// The blur learns nothing and no weights file holds it. Its gradient is its transpose; the family's CPU code lets the gradient through as it is.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "config/section.h"
#include "nn/kernel.h"

namespace dn {

namespace cpu {
class Device;
}

struct Antialias {
  int kind = 0;   // 0: none
  int stride_x = 1, stride_y = 1;

  static constexpr std::string_view kDoc = "1: step 1, then a blur (3x3 binomial) with the step asked for; 2: a 2x2 mean";

  // The blur of this kind takes over a layer's steps, which become 1.
  static Antialias take(int kind, int& stride_x, int& stride_y);
  explicit operator bool() const { return kind != 0; }
  int size() const { return kind == 1 ? 3 : 2; }
  int padding() const { return kind == 1 ? 1 : 0; }
  float weight(int row, int column) const { return kind == 1 ? static_cast<float>((row == 1 ? 2 : 1) * (column == 1 ? 2 : 1)) / 16 : .25f; }
  // `host`: of the layer's own step. Throws Error when it is too small for the blur. Without a blur it comes back as it is.
  Shape output_shape(const Section& section, const Shape& host) const;
  std::string text() const;   // "  blur 3x3/2"; empty without
};

// compile(args) compiles the layer's own step, whose output is `host`; where there is a blur, it comes behind. learns: see chain_args.
std::unique_ptr<Kernel> antialiased(const Antialias& blur, cpu::Device& device, const KernelArgs& args, const Shape& host,
                                    const std::function<std::unique_ptr<Kernel>(const KernelArgs&)>& compile);

}  // namespace dn
