// How kernel bodies see tensors: channels-last, eight neighbouring channels at a time, in float whatever the storage is.
#pragma once

#include "base/host_device.h"
#include "device/cuda/device.h"
#include "tensor/half.h"
#include "tensor/tensor.h"

namespace dn::cuda {

inline constexpr int kEight = Device::kChannelGroup;

struct Eight {
  float v[kEight];
};

namespace detail {
struct alignas(16) Words {   // what one load instruction brings
  uint32_t w[4];
};
}  // namespace detail

// Where item i of a tensor's groups of eight channels is, pixel by pixel. Division of 64 bits is dear on a GPU, so it is done in 32 where they suffice.
struct EightPlace {
  size_t pixel;
  int channel;
};
DN_HD inline EightPlace eight_place(size_t i, int groups) {
  if (i <= 0xffffffffu) {
    const uint32_t at = static_cast<uint32_t>(i), pixel = at / static_cast<uint32_t>(groups);
    return {pixel, static_cast<int>(at - pixel * static_cast<uint32_t>(groups)) * kEight};
  }
  const size_t pixel = i / static_cast<size_t>(groups);
  return {pixel, static_cast<int>(i - pixel * static_cast<size_t>(groups)) * kEight};
}

// A tensor [N,H,W,C] on the device, or a slice of one. A plain value that goes into bodies. Offsets are in elements.
struct View {
  void* data = nullptr;
  DType dtype = DType::f32;
  int n = 0, h = 0, w = 0, c = 0, padded = 0;   // padded: channels with padding
  size_t pixel_stride = 0, image_stride = 0;

  DN_HD size_t pixels() const { return static_cast<size_t>(n) * static_cast<size_t>(h) * static_cast<size_t>(w); }
  DN_HD int groups() const { return padded / kEight; }
  DN_HD size_t eights() const { return pixels() * static_cast<size_t>(groups()); }
  // Of pixel number i in [0, pixels()): images lie one behind the other at the pixel's stride, in slices too.
  DN_HD size_t at(size_t pixel, int channel) const { return pixel * pixel_stride + static_cast<size_t>(channel); }
  DN_HD size_t at(int image, int y, int x, int channel) const {
    return static_cast<size_t>(image) * image_stride + (static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x)) * pixel_stride +
           static_cast<size_t>(channel);
  }

  DN_HD float get(size_t offset) const {
    if (dtype == DType::f32) return static_cast<const float*>(data)[offset];
    const uint16_t bits = static_cast<const uint16_t*>(data)[offset];
    return dtype == DType::bf16 ? from_bf16(bits) : from_f16(bits);
  }
  DN_HD void set(size_t offset, float value) const {
    if (dtype == DType::f32)
      static_cast<float*>(data)[offset] = value;
    else
      static_cast<uint16_t*>(data)[offset] = dtype == DType::bf16 ? to_bf16(value) : to_f16(value);
  }

  // Eight channels; the offset is a multiple of eight.
  DN_HD Eight get_eight(size_t offset) const {
    Eight out;
    if (dtype == DType::f32) {
      const auto* from = reinterpret_cast<const detail::Words*>(static_cast<const float*>(data) + offset);
      const detail::Words low = from[0], high = from[1];
      for (int i = 0; i < 4; ++i) out.v[i] = dn::detail::float_of(low.w[i]), out.v[i + 4] = dn::detail::float_of(high.w[i]);
      return out;
    }
    const detail::Words words = *reinterpret_cast<const detail::Words*>(static_cast<const uint16_t*>(data) + offset);
    for (int i = 0; i < 4; ++i) {
      const auto low = static_cast<uint16_t>(words.w[i] & 0xffffu), high = static_cast<uint16_t>(words.w[i] >> 16);
      out.v[2 * i] = dtype == DType::bf16 ? from_bf16(low) : from_f16(low);
      out.v[2 * i + 1] = dtype == DType::bf16 ? from_bf16(high) : from_f16(high);
    }
    return out;
  }
  DN_HD void set_eight(size_t offset, const Eight& value) const {
    if (dtype == DType::f32) {
      auto* to = reinterpret_cast<detail::Words*>(static_cast<float*>(data) + offset);
      detail::Words low, high;
      for (int i = 0; i < 4; ++i) low.w[i] = dn::detail::bits_of(value.v[i]), high.w[i] = dn::detail::bits_of(value.v[i + 4]);
      to[0] = low, to[1] = high;
      return;
    }
    detail::Words words;
    for (int i = 0; i < 4; ++i) {
      const uint32_t low = dtype == DType::bf16 ? to_bf16(value.v[2 * i]) : to_f16(value.v[2 * i]);
      const uint32_t high = dtype == DType::bf16 ? to_bf16(value.v[2 * i + 1]) : to_f16(value.v[2 * i + 1]);
      words.w[i] = low | high << 16;
    }
    *reinterpret_cast<detail::Words*>(static_cast<uint16_t*>(data) + offset) = words;
  }
  DN_HD void add_eight(size_t offset, const Eight& value) const {
    Eight sum = get_eight(offset);
    for (int i = 0; i < kEight; ++i) sum.v[i] += value.v[i];
    set_eight(offset, sum);
  }
};

inline View view(const Tensor& t) {
  const TensorDesc& d = t.desc;
  ensure(d.channels_last, "kernels of a GPU see channels-last tensors");
  return {t.data, d.dtype, d.shape.n, d.shape.h, d.shape.w, d.shape.c, d.padded_channels(), d.pixel_stride(), d.image_stride()};
}
// A plain FP32 tensor [N,C,H,W] (outputs of heads).
struct PlainView {
  float* data = nullptr;
  int n = 0, c = 0, h = 0, w = 0;
  DN_HD size_t plane() const { return static_cast<size_t>(h) * static_cast<size_t>(w); }
  DN_HD size_t at(int image, int channel, size_t cell) const {
    return (static_cast<size_t>(image) * static_cast<size_t>(c) + static_cast<size_t>(channel)) * plane() + cell;
  }
};
inline PlainView plain_view(const Tensor& t) {
  ensure(t.desc.block == 1 && !t.desc.channels_last && t.desc.dtype == DType::f32, "a plain tensor");
  return {t.data, t.desc.shape.n, t.desc.shape.c, t.desc.shape.h, t.desc.shape.w};
}

}  // namespace dn::cuda
