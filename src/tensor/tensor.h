// Shapes and views. A tensor's meaning is always [N,C,H,W]; its storage on the CPU is channel-blocked, [N, C/block, H, W, block]
// (oneDNN's nChw16c and nChw8c), or plain NCHW when block is 1 (network inputs and detection heads). On a GPU it is channels-last, [N,H,W,C], one block
// as wide as the tensor; there a slice of a wider tensor has its pixels further apart too.
// Channels that a last block has beyond C are padding: they are zero and every kernel keeps them zero.
#pragma once

#include <cstddef>
#include <cstdint>
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

enum class DType : uint8_t { f32, bf16, f16 };
constexpr size_t bytes_of(DType type) { return type == DType::f32 ? 4 : 2; }

struct TensorDesc {
  Shape shape;
  int block = 1;
  int image_channels = 0;   // of a slice of a wider tensor: the channels from one image to the next; 0: its own
  DType dtype = DType::f32;
  bool channels_last = false;   // a slice has image_channels from one pixel to the next as well
  bool operator==(const TensorDesc&) const = default;
  int padded_channels() const { return round_up(shape.c, block); }
  int channel_blocks() const { return padded_channels() / block; }
  // Strides are in elements.
  size_t image_stride() const { return static_cast<size_t>(image_channels ? image_channels : padded_channels()) * shape.plane(); }
  size_t block_stride() const { return shape.plane() * static_cast<size_t>(block); }
  size_t pixel_stride() const { return static_cast<size_t>(channels_last && image_channels ? image_channels : block); }
  size_t count() const { return static_cast<size_t>(padded_channels()) * shape.plane() * static_cast<size_t>(shape.n); }   // padding included
  size_t bytes() const { return count() * bytes_of(dtype); }
  TensorDesc dense() const { return {shape, block, 0, dtype, channels_last}; }
  // Elements from the tensor's first one to that of channel c, c at the border of a block.
  size_t channel_offset(int c) const { return channels_last ? static_cast<size_t>(c) : static_cast<size_t>(c / block) * block_stride(); }
  size_t offset(int n, int c, int y, int x) const {
    return static_cast<size_t>(n) * image_stride() + static_cast<size_t>(c / block) * block_stride() +
           (static_cast<size_t>(y) * static_cast<size_t>(shape.w) + static_cast<size_t>(x)) * pixel_stride() +
           static_cast<size_t>(c % block);
  }
};

// A view; never owns. On a GPU `data` is an address there, of elements of desc.dtype.
struct Tensor {
  TensorDesc desc;
  float* data = nullptr;
  explicit operator bool() const { return data != nullptr; }
  float& at(int n, int c, int y, int x) const { return data[desc.offset(n, c, y, x)]; }
};

}  // namespace dn
