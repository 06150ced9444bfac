// The window that [maxpool] and [local_avgpool] move over a map (compatibility notes 4.5).
//   padding is the TOTAL over both sides (default size - 1): out = (in + padding - size) / stride + 1, window i starts at i * stride - padding / 2
#pragma once

#include "config/section.h"
#include "tensor/tensor.h"

namespace dn {

struct PoolWindow {
  int stride = 1;
  int stride_x = 0, stride_y = 0;  // 0 in the cfg's absence: stride
  int size = 0;                    // likewise: stride
  int padding = -1;                // likewise: size - 1

  // Puts numbers for what was not written; a padding with which a window could lie outside the map is a problem.
  void resolve(const Section& section, Problems& problems);
  int offset() const { return padding / 2; }   // how far the first window starts before the map
  // Shape after the windows; throws Error when the map is too small for one.
  Shape output_shape(const Section& section, const Shape& in) const;
  std::string text() const;   // "3x3/2", "3x3/2x1  padding 0"
};

}  // namespace dn
