// See channel_activation.h. A tile of pixels of one image is the unit of parallel work; it stays in the cache while its channel blocks, which lie a plane
// apart, are gone through. Backward keeps y and, for max(z, 0), the divisors.
#include "layers/convolutional/channel_activation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "nn/activation.h"

namespace dn {
namespace {

constexpr size_t kTile = 64;   // pixels
constexpr std::string_view kNames[] = {"normalize_channels", "normalize_channels_softmax", "normalize_channels_softmax_maxval"};
constexpr float kEps = static_cast<float>(kChannelEps);

using PerPixel = std::array<float, kTile>;

class ChannelActivationKernel : public Kernel {
 public:
  ChannelActivationKernel(ChannelActivation kind, cpu::Device& device, const KernelArgs& args)
      : kind_(kind), device_(device), shape_(args.y.shape), block_(static_cast<size_t>(args.y.block)), backward_(args.backward), dx_(args.dx[0]) {
    ensure(args.x[0].shape == shape_ && args.x[0].block == args.y.block && block_ > 1 && dx_ != Write::accumulate, "a blocked tensor becomes another");
  }

  Needs needs() const override {
    Needs n;
    n.y_in_backward = backward_;
    if (backward_ && kind_ == ChannelActivation::relu) n.saved = {static_cast<size_t>(shape_.n) * shape_.plane() * sizeof(float)};
    return n;
  }

  void forward(const Io& io, const Pass&) override {
    float* const divisors = backward_ && kind_ == ChannelActivation::relu ? reinterpret_cast<float*>(io.saved[0]) : nullptr;
    for_tiles([&](size_t image, size_t first, size_t pixels) {
      PerPixel top{}, sum{};
      if (kind_ != ChannelActivation::relu) {
        top.fill(-INFINITY);
        visit(io.x[0], image, first, pixels, [&](size_t p, const float& z, size_t) { top[p] = std::max(top[p], z); });
      }
      // Without maxval the divisor is exp(top) (e exp(-top) + sum exp(z - top)): the same value, that overflows nowhere.
      for (size_t p = 0; p < pixels; ++p) sum[p] = kind_ == ChannelActivation::softmax ? kEps * std::exp(-top[p]) : kEps;
      visit(io.x[0], image, first, pixels, [&](size_t p, const float& z, size_t at) {
        float& y = tile(io.y, image, first)[at];
        y = kind_ == ChannelActivation::relu ? (z > 0 ? z : z * 0) : std::exp(z - top[p]);   // z * 0: a NaN stays one
        sum[p] += y;
      });
      visit(io.y, image, first, pixels, [&](size_t p, float& y, size_t) { y /= sum[p]; });
      zero_padding(io.y, image, first, pixels);
      for (size_t p = 0; p < pixels && divisors; ++p) divisors[image * shape_.plane() + first + p] = sum[p];
    });
  }

  void backward(const Io& io, const Pass&) override {
    if (dx_ == Write::none) return;
    for_tiles([&](size_t image, size_t first, size_t pixels) {
      const float* const dy = tile(io.dy, image, first);
      float* const dx = tile(io.dx[0], image, first);
      const auto in_dy = [&](size_t at) { return dy[at]; };   // block strides are the same in all of them
      PerPixel inner{}, top{};
      visit(io.y, image, first, pixels, [&](size_t p, const float& y, size_t at) { inner[p] += in_dy(at) * y, top[p] = std::max(top[p], y); });
      if (kind_ == ChannelActivation::relu) {
        const float* const divisors = reinterpret_cast<const float*>(io.saved[0]) + image * shape_.plane() + first;
        visit(io.y, image, first, pixels, [&](size_t p, const float& y, size_t at) { dx[at] = y > 0 ? (in_dy(at) - inner[p]) / divisors[p] : 0; });
      } else {
        const float share = kind_ == ChannelActivation::softmax_maxval ? kEps : 0;
        visit(io.y, image, first, pixels, [&](size_t p, const float& y, size_t at) {
          dx[at] = y * (in_dy(at) - inner[p]);
          if (y == top[p]) dx[at] -= share * y * inner[p], top[p] = INFINITY;   // only the first
        });
      }
      zero_padding(io.dx[0], image, first, pixels);
    });
  }

 private:
  // Where a tile's first channel block begins; offsets within it are `at` of visit.
  float* tile(const Tensor& t, size_t image, size_t first) const { return t.data + image * t.desc.image_stride() + first * block_; }

  template <class Body>
  void for_tiles(const Body& body) const {
    const size_t plane = shape_.plane(), tiles = (plane + kTile - 1) / kTile;
    cpu::parallel_for(device_.threads(), static_cast<size_t>(shape_.n) * tiles, [&](size_t item) {
      const size_t first = item % tiles * kTile;
      body(item / tiles, first, std::min(kTile, plane - first));
    });
  }

  // body(pixel of the tile, value, its offset from tile()) for every channel, in rising order for each pixel.
  template <class Body>
  void visit(const Tensor& t, size_t image, size_t first, size_t pixels, const Body& body) const {
    float* const from = tile(t, image, first);
    const size_t channels = static_cast<size_t>(shape_.c);
    for (size_t c = 0; c < channels; c += block_)
      for (size_t p = 0; p < pixels; ++p)
        for (size_t lane = 0; lane < std::min(block_, channels - c); ++lane) {
          const size_t at = c * shape_.plane() + p * block_ + lane;   // c / block blocks of block x plane floats
          body(p, from[at], at);
        }
  }

  void zero_padding(const Tensor& t, size_t image, size_t first, size_t pixels) const {
    const size_t used = static_cast<size_t>(shape_.c) % block_;
    if (used == 0) return;
    float* const last = tile(t, image, first) + (static_cast<size_t>(shape_.c) - used) * shape_.plane();
    for (size_t p = 0; p < pixels; ++p) std::fill(last + p * block_ + used, last + (p + 1) * block_, 0.0f);
  }

  ChannelActivation kind_;
  cpu::Device& device_;
  Shape shape_;
  size_t block_;
  bool backward_;
  Write dx_;
};

}  // namespace

ChannelActivation channel_activation_from_name(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (kNames[i] == name) return static_cast<ChannelActivation>(i + 1);
  return ChannelActivation::none;
}

std::span<const std::string_view> convolutional_activation_names() {
  static const std::vector<std::string_view> names = [] {
    std::vector<std::string_view> all(activation_names().begin(), activation_names().end());
    all.insert(all.end(), std::begin(kNames), std::end(kNames));
    return all;
  }();
  return names;
}

std::unique_ptr<Kernel> compile_channel_activation(ChannelActivation kind, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ChannelActivationKernel>(kind, device, args);
}

}  // namespace dn
