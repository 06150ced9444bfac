// [scale_channels] on a GPU: a thread makes eight channels of a pixel. The factors' gradients are sums: a factor's per channel over the pixels in two
// levels, blocks that leave their part in the scratch, then the sum over the blocks; a factor's per pixel over the channels within a block.
#include "device/cuda/launch.h"
#include "layers/scale_channels/scale_channels.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

// z = a x, and what follows from it.
struct Product {
  View a, x;
  Activation activation;
  bool per_pixel;

  DN_HD Eight factors(size_t pixel, int channel) const {
    if (!per_pixel) return a.get_eight(a.at(pixel / cuda::plane_of(x), channel));
    const float one = a.get(a.at(pixel, 0));
    Eight out;
    for (int k = 0; k < kEight; ++k) out.v[k] = one;
    return out;
  }
  DN_HD Eight inputs(size_t pixel, int channel) const { return x.get_eight(x.at(pixel, channel)); }
  // dL/dz
  DN_HD Eight slopes(const View& dy, size_t pixel, int channel, const Eight& factor, const Eight& input) const {
    Eight out = dy.get_eight(dy.at(pixel, channel));
    for (int k = 0; k < kEight; ++k) out.v[k] *= activation_slope(activation, factor.v[k] * input.v[k]);
    return out;
  }
};

struct ScaleBody {
  Product product;
  View y;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    const Eight factor = product.factors(pixel, channel), input = product.inputs(pixel, channel);
    Eight value;
    for (int k = 0; k < kEight; ++k) value.v[k] = activate(product.activation, factor.v[k] * input.v[k]);
    cuda::clear_padding(value, channel, y.c);
    y.set_eight(y.at(pixel, channel), value);
  }
};

struct ScaleBackwardBody {
  Product product;
  View dy, dx;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dx, i);
    const Eight factor = product.factors(pixel, channel), input = product.inputs(pixel, channel);
    Eight gradient = product.slopes(dy, pixel, channel, factor, input);
    for (int k = 0; k < kEight; ++k) gradient.v[k] *= factor.v[k];
    cuda::clear_padding(gradient, channel, dx.c);
    cuda::put_eight(dx, dx.at(pixel, channel), gradient, add);
  }
};

constexpr int kLanes = 8, kRows = 32;  // a block's threads: lanes side by side in channels, eight each; rows of pixels
constexpr int kPixels = 1024;          // of a block's part of an image

// part[image][block of pixels][channel] = sum of dz x over the pixels. Blocks: x = run of lanes, image; y = block of pixels.
struct ChannelPartBody {
  static constexpr int kThreads = kLanes * kRows, kPhases = 2;
  struct Shared {
    float sum[kThreads * kEight];
  };
  struct State {};
  Product product;
  View dy;
  float* part;
  int blocks, runs;  // of pixels in an image; of lanes in the channels
  template <int phase>
  DN_HD void run(const cuda::Place& place, State&, Shared& shared) const {
    const int image = place.x / runs, first = place.x % runs * kLanes * kEight;
    if constexpr (phase == 0) {
      const int channel = first + place.thread % kLanes * kEight, plane = dy.h * dy.w;
      Eight sum{};
      for (int p = place.y * kPixels + place.thread / kLanes; channel < dy.padded && p < plane && p < (place.y + 1) * kPixels; p += kRows) {
        const size_t pixel = static_cast<size_t>(image) * static_cast<size_t>(plane) + static_cast<size_t>(p);
        const Eight input = product.inputs(pixel, channel), slope = product.slopes(dy, pixel, channel, product.factors(pixel, channel), input);
        for (int k = 0; k < kEight; ++k) sum.v[k] += slope.v[k] * input.v[k];
      }
      for (int k = 0; k < kEight; ++k) shared.sum[place.thread * kEight + k] = sum.v[k];
    } else {
      const int channel = first + place.thread;
      if (place.thread >= kLanes * kEight || channel >= dy.padded) return;
      float sum = 0;
      for (int row = 0; row < kRows; ++row) sum += shared.sum[row * kLanes * kEight + place.thread];
      part[(static_cast<size_t>(image) * static_cast<size_t>(blocks) + static_cast<size_t>(place.y)) * static_cast<size_t>(dy.padded) +
           static_cast<size_t>(channel)] = sum;
    }
  }
};

struct ChannelSumBody {
  const float* part;
  int blocks;
  View da;
  bool add;
  DN_HD void operator()(size_t i) const {
    const size_t padded = static_cast<size_t>(da.padded), image = i / padded, channel = i % padded, at = da.at(image, static_cast<int>(channel));
    double sum = 0;
    for (int b = 0; b < blocks; ++b)
      sum += static_cast<double>(part[(image * static_cast<size_t>(blocks) + static_cast<size_t>(b)) * padded + channel]);
    if (static_cast<int>(channel) >= da.c) sum = 0;
    da.set(at, static_cast<float>(add ? static_cast<double>(da.get(at)) + sum : sum));
  }
};

// The gradients of factors per pixel: a block makes those of kRows pixels.
struct PixelSumBody {
  static constexpr int kThreads = kLanes * kRows, kPhases = 2;
  struct Shared {
    float sum[kThreads];
  };
  struct State {};
  Product product;
  View dy, da;
  bool add;
  template <int phase>
  DN_HD void run(const cuda::Place& place, State&, Shared& shared) const {
    const int row = place.thread / kLanes, lane = place.thread % kLanes;
    const size_t pixel = static_cast<size_t>(place.x) * kRows + static_cast<size_t>(row);
    if (pixel >= dy.pixels()) return;
    if constexpr (phase == 0) {
      float sum = 0;
      for (int channel = lane * kEight; channel < dy.padded; channel += kLanes * kEight) {
        const Eight input = product.inputs(pixel, channel), slope = product.slopes(dy, pixel, channel, product.factors(pixel, channel), input);
        for (int k = 0; k < kEight && channel + k < dy.c; ++k) sum += slope.v[k] * input.v[k];
      }
      shared.sum[place.thread] = sum;
    } else if (lane == 0) {
      double sum = 0;
      for (int k = 0; k < kLanes; ++k) sum += static_cast<double>(shared.sum[place.thread + k]);
      Eight value{};
      value.v[0] = static_cast<float>(sum);
      cuda::put_eight(da, da.at(pixel, 0), value, add);
    }
  }
};

class ScaleChannelsCuda : public Kernel {
 public:
  ScaleChannelsCuda(const ScaleChannels& layer, cuda::Device& device, const KernelArgs& args)
      : per_pixel_(layer.per_pixel()), activation_(layer.activation()), device_(device), args_(args) {
    args_.dx.resize(2, Write::none);
  }
  Needs needs() const override {
    Needs needs{.x_in_backward = args_.backward};
    if (args_.backward && !per_pixel_ && args_.dx[0] != Write::none)
      needs.backward_scratch =
          static_cast<size_t>(args_.y.shape.n) * static_cast<size_t>(blocks()) * static_cast<size_t>(args_.y.padded_channels()) * sizeof(float);
    return needs;
  }

  void forward(const Io& io, const Pass&) override {
    const View y = cuda::view(io.y);
    cuda::for_each(device_.stream(), y.eights(), ScaleBody{product(io), y});
  }

  // The factors' gradient first: `from` may be the layer before, and its second gradient then adds to the first.
  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] != Write::none) per_pixel_ ? pixel_factors(io) : channel_factors(io);
    if (args_.dx[1] == Write::none) return;
    const View dx = cuda::view(io.dx[1]);
    cuda::for_each(device_.stream(), dx.eights(), ScaleBackwardBody{product(io), cuda::view(io.dy), dx, args_.dx[1] == Write::accumulate});
  }

 private:
  int blocks() const { return (static_cast<int>(args_.y.shape.plane()) + kPixels - 1) / kPixels; }
  Product product(const Io& io) const { return {cuda::view(io.x[0]), cuda::view(io.x[1]), activation_, per_pixel_}; }

  void channel_factors(const Io& io) const {
    const View dy = cuda::view(io.dy), da = cuda::view(io.dx[0]);
    const int runs = (dy.groups() + kLanes - 1) / kLanes;
    float* part = reinterpret_cast<float*>(io.scratch);
    cuda::launch_blocks(device_.stream(), {dy.n * runs, blocks()}, ChannelPartBody{product(io), dy, part, blocks(), runs});
    cuda::for_each(device_.stream(), static_cast<size_t>(da.n) * static_cast<size_t>(da.padded),
                   ChannelSumBody{part, blocks(), da, args_.dx[0] == Write::accumulate});
  }
  void pixel_factors(const Io& io) const {
    const View dy = cuda::view(io.dy);
    cuda::launch_blocks(device_.stream(), {static_cast<int>((dy.pixels() + kRows - 1) / kRows), 1},
                        PixelSumBody{product(io), dy, cuda::view(io.dx[0]), args_.dx[0] == Write::accumulate});
  }

  bool per_pixel_;
  Activation activation_;
  cuda::Device& device_;
  KernelArgs args_;
};

}  // namespace

std::unique_ptr<Kernel> ScaleChannels::compile_cuda(const ScaleChannels& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<ScaleChannelsCuda>(layer, device, args);
}

}  // namespace dn
