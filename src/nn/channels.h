// Some channels of a tensor copied into some of another, or added to them, whatever the blocks of either are.
#pragma once

#include <algorithm>

#include "device/cpu/parallel.h"
#include "tensor/tensor.h"

namespace dn {

// Channels first .. first + count - 1 of image `image` of `from` go to those from `to_first` on of image `to_image` of `to`.
inline void copy_channels(int threads, const Tensor& from, int image, int first, const Tensor& to, int to_image, int to_first, int count, bool add) {
  const int from_block = from.desc.block, to_block = to.desc.block;
  const size_t pixels = from.desc.shape.plane();
  const auto channels = static_cast<size_t>(count);
  // One item: a channel of the target's block, and those behind it that stay in one block on both sides.
  cpu::parallel_for(threads, channels, [&](size_t c) {
    const int at = first + static_cast<int>(c), to_at = to_first + static_cast<int>(c);
    if (c > 0 && at % from_block != 0 && to_at % to_block != 0) return;
    const int run = std::min({count - static_cast<int>(c), from_block - at % from_block, to_block - to_at % to_block});
    const float* source = from.data + from.desc.offset(image, at, 0, 0);
    float* target = to.data + to.desc.offset(to_image, to_at, 0, 0);
    for (size_t p = 0; p < pixels; ++p, source += from_block, target += to_block)
      for (int l = 0; l < run; ++l) target[l] = add ? target[l] + source[l] : source[l];
  });
}

}  // namespace dn
