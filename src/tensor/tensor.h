// Shapes and views. A tensor's meaning is always [N,C,H,W]; its storage on the CPU is channel-blocked, [N, C/block, H, W, block]
// (oneDNN's nChw16c and nChw8c), or plain NCHW when block is 1 (network inputs and detection heads).
// Channels that a last block has beyond C are padding: they are zero and every kernel keeps them zero.
#pragma once

#include <cstddef>
#include <string>

#include "base/numbers.h"

namespace dn {

struct Shape {
  int n = 0, c = 0, h = 0, w = 0;
  size_t plane() const { return static_cast<size_t>(h) * static_cast<size_t>(w); }
  size_t per_image() const { return plane() * static_cast<size_t>(c); }
  size_t count() const { return per_image() * static_cast<size_t>(n); }
  bool operator==(const Shape&) const = default;
  std::string text() const { return concat(w, " x ", h, " x ", c); }  // darknet's order: width x height x channels
};

struct TensorDesc {
  Shape shape;
  int block = 1;
  int image_channels = 0;   // of a slice of a wider tensor: the channels from one image to the next; 0: its own
  bool operator==(const TensorDesc&) const = default;
  int padded_channels() const { return round_up(shape.c, block); }
  int channel_blocks() const { return padded_channels() / block; }
  size_t image_stride() const { return static_cast<size_t>(image_channels ? image_channels : padded_channels()) * shape.plane(); }  // floats
  size_t block_stride() const { return shape.plane() * static_cast<size_t>(block); }                 // floats from channel block to channel block
  size_t count() const { return static_cast<size_t>(padded_channels()) * shape.plane() * static_cast<size_t>(shape.n); }   // padding included
  size_t bytes() const { return count() * sizeof(float); }
  TensorDesc dense() const { return {shape, block}; }
  size_t offset(int n, int c, int y, int x) const {
    return static_cast<size_t>(n) * image_stride() + static_cast<size_t>(c / block) * block_stride() +
           (static_cast<size_t>(y) * static_cast<size_t>(shape.w) + static_cast<size_t>(x)) * static_cast<size_t>(block) +
           static_cast<size_t>(c % block);
  }
};

// A view; never owns.
struct Tensor {
  TensorDesc desc;
  float* data = nullptr;
  explicit operator bool() const { return data != nullptr; }
  float& at(int n, int c, int y, int x) const { return data[desc.offset(n, c, y, x)]; }
};

}  // namespace dn
