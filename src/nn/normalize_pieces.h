// How the sweeps of nn/normalize.h cut a blocked tensor: (image, channel block, run of pixels), in this order. The cut depends on the shape only.
#pragma once

#include <algorithm>

#include "tensor/tensor.h"

namespace dn {

struct Piece {
  size_t image = 0, block = 0, first = 0;   // first pixel
  size_t pixels = 0;
  int channel = 0;                          // first channel of the block
  // Floats from the start of a tensor of this shape; tensors of one sweep may have different strides.
  size_t offset(const TensorDesc& desc) const {
    return image * desc.image_stride() + block * desc.block_stride() + first * static_cast<size_t>(desc.block);
  }
};

class Pieces {
 public:
  explicit Pieces(const TensorDesc& desc)
      : desc_(desc), per_block_((desc.shape.plane() + kPixels - 1) / kPixels), blocks_(static_cast<size_t>(desc.channel_blocks())) {}
  size_t count() const { return static_cast<size_t>(desc_.shape.n) * blocks_ * per_block_; }
  Piece operator[](size_t i) const {
    const size_t run = i % per_block_, block = i / per_block_ % blocks_, image = i / per_block_ / blocks_;
    const size_t from = run * kPixels;
    return {image, block, from, std::min(kPixels, desc_.shape.plane() - from), static_cast<int>(block) * desc_.block};
  }

 private:
  static constexpr size_t kPixels = 4096;
  TensorDesc desc_;
  size_t per_block_, blocks_;
};

}  // namespace dn
