// [scale_channels] on the CPU. An item is one channel block of one image; with scale_wh, whose factors' gradients are sums over channels, it is one
// row of all channels of an image. So every item owns all it writes, and sums are made in one order: per row in float, over rows in double.
#include <algorithm>
#include <array>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/scale_channels/scale_channels.h"

namespace dn {
namespace {

constexpr size_t kMaxBlock = 16;

class ScaleChannelsCpu : public Kernel {
 public:
  ScaleChannelsCpu(const ScaleChannels& layer, cpu::Device& device, const KernelArgs& args)
      : device_(device), per_pixel_(layer.per_pixel()), activation_(layer.activation()), args_(args), block_(static_cast<size_t>(args.y.block)) {
    ensure(args.x[0].block == args.y.block && args.x[1].block == args.y.block && block_ <= kMaxBlock, "scale_channels needs equally blocked tensors");
    args_.dx.resize(2, Write::none);
    images_ = static_cast<size_t>(args.y.shape.n);
    blocks_ = static_cast<size_t>(args.y.channel_blocks());
    width_ = static_cast<size_t>(args.y.shape.w);
    height_ = static_cast<size_t>(args.y.shape.h);
  }
  Needs needs() const override { return {.x_in_backward = args_.backward}; }

  void forward(const Io& io, const Pass&) override {
    cpu::parallel_for(device_.threads(), images_ * blocks_ * height_, [&](size_t item) {
      const size_t n = item / height_ / blocks_, block = item / height_ % blocks_, row = item % height_, count = lanes(block);
      for (size_t j = 0; j < width_; ++j) {
        const size_t at = place(n, block, row, j);
        for (size_t l = 0; l < block_; ++l)
          io.y.data[at + l] = l < count ? activate(activation_, factor(io, n, block, row, j, l) * io.x[1].data[at + l]) : 0.f;
      }
    });
  }

  // Within an item the factors' gradient first: `from` may be the layer before, and its second gradient then adds to the first.
  void backward(const Io& io, const Pass&) override {
    if (per_pixel_) {
      cpu::parallel_for(device_.threads(), images_ * height_, [&](size_t item) {
        const size_t n = item / height_, row = item % height_;
        if (args_.dx[0] != Write::none) pixel_factors(io, n, row);
        for (size_t block = 0; args_.dx[1] != Write::none && block < blocks_; ++block) map_row(io, n, block, row);
      });
    } else {
      cpu::parallel_for(device_.threads(), images_ * blocks_, [&](size_t item) {
        const size_t n = item / blocks_, block = item % blocks_;
        if (args_.dx[0] != Write::none) channel_factors(io, n, block);
        for (size_t row = 0; args_.dx[1] != Write::none && row < height_; ++row) map_row(io, n, block, row);
      });
    }
  }

 private:
  size_t lanes(size_t block) const { return std::min(block_, static_cast<size_t>(args_.y.shape.c) - block * block_); }  // that are channels
  size_t place(size_t n, size_t block, size_t row, size_t column) const { return (((n * blocks_ + block) * height_ + row) * width_ + column) * block_; }
  size_t pixel_place(size_t n, size_t row, size_t column) const { return ((n * height_ + row) * width_ + column) * block_; }  // of a factor [1,H,W]
  float factor(const Io& io, size_t n, size_t block, size_t row, size_t column, size_t lane) const {
    return io.x[0].data[per_pixel_ ? pixel_place(n, row, column) : (n * blocks_ + block) * block_ + lane];
  }
  float dz(const Io& io, size_t at, float a) const { return io.dy.data[at] * activation_slope(activation_, a * io.x[1].data[at]); }

  // One row of one channel block of dx.
  void map_row(const Io& io, size_t n, size_t block, size_t row) const {
    const size_t count = lanes(block);
    for (size_t j = 0; j < width_; ++j)
      for (size_t l = 0; l < block_; ++l) {
        const size_t at = place(n, block, row, j) + l;
        const float a = factor(io, n, block, row, j, l), part = l < count ? dz(io, at, a) * a : 0.f;
        float& to = io.dx[1].data[at];
        to = args_.dx[1] == Write::accumulate ? to + part : part;
      }
  }

  // The factors' gradients of one channel block.
  void channel_factors(const Io& io, size_t n, size_t block) const {
    std::array<double, kMaxBlock> sum{};
    const size_t count = lanes(block);
    for (size_t row = 0; row < height_; ++row) {
      std::array<float, kMaxBlock> of_row{};
      for (size_t j = 0; j < width_; ++j)
        for (size_t l = 0; l < count; ++l) {
          const size_t at = place(n, block, row, j) + l;
          of_row[l] += dz(io, at, factor(io, n, block, row, j, l)) * io.x[1].data[at];
        }
      for (size_t l = 0; l < count; ++l) sum[l] += static_cast<double>(of_row[l]);
    }
    for (size_t l = 0; l < block_; ++l) put_factor(io, (n * blocks_ + block) * block_ + l, sum[l]);
  }

  // ... and of one row of pixels.
  void pixel_factors(const Io& io, size_t n, size_t row) const {
    for (size_t j = 0; j < width_; ++j) {
      double sum = 0;
      for (size_t block = 0; block < blocks_; ++block) {
        float of_block = 0;
        for (size_t l = 0; l < lanes(block); ++l) {
          const size_t at = place(n, block, row, j) + l;
          of_block += dz(io, at, factor(io, n, block, row, j, l)) * io.x[1].data[at];
        }
        sum += static_cast<double>(of_block);
      }
      for (size_t l = 0; l < block_; ++l) put_factor(io, pixel_place(n, row, j) + l, l == 0 ? sum : 0);
    }
  }

  void put_factor(const Io& io, size_t at, double value) const {
    float& to = io.dx[0].data[at];
    to = static_cast<float>(args_.dx[0] == Write::accumulate ? static_cast<double>(to) + value : value);
  }

  cpu::Device& device_;
  bool per_pixel_;
  Activation activation_;
  KernelArgs args_;
  size_t block_, images_ = 0, blocks_ = 0, width_ = 0, height_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> ScaleChannels::compile_cpu(const ScaleChannels& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ScaleChannelsCpu>(layer, device, args);
}

}  // namespace dn
