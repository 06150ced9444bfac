// [local] on a GPU. Weights are read once for every kImages images: in forward lanes go along the weights of one filter at one place, in backward a
// thread has one weight, or one value of dx, and sums over images, or over places and filters.   saved[0]: sums before activation, unless linear.
#include "device/cuda/launch.h"
#include "device/cuda/view.h"
#include "layers/local/local.h"
#include "nn/cuda/padding.h"

namespace dn {
namespace {

using cuda::View;

constexpr int kLanes = 32, kFilters = 8, kImages = 8;  // of a block: threads of one filter, filters, images

// What all kernels know. Sums before activation and their gradients are FP32, [N, place, filter].
struct Problem {
  int images, channels, height, width;  // of x
  int filters, out_height, out_width, size, stride, padding;
  DN_HD int taps() const { return size * size; }
  DN_HD size_t places() const { return static_cast<size_t>(out_height) * static_cast<size_t>(out_width); }
  DN_HD size_t fan_in() const { return static_cast<size_t>(channels) * static_cast<size_t>(taps()); }
  DN_HD size_t sum_at(int image, size_t place, int filter) const {
    return (static_cast<size_t>(image) * places() + place) * static_cast<size_t>(filters) + static_cast<size_t>(filter);
  }
  // Where weight k of a filter at a place looks: pixel of x within the image, below 0 where there is none.
  DN_HD int pixel(size_t place, int tap) const {
    const int y = static_cast<int>(place) / out_width * stride - padding + tap / size,
              x = static_cast<int>(place) % out_width * stride - padding + tap % size;
    return y < 0 || y >= height || x < 0 || x >= width ? -1 : y * width + x;
  }
  DN_HD size_t at(const View& v, int image, int pixel, int channel) const {
    return v.at(static_cast<size_t>(image) * static_cast<size_t>(height * width) + static_cast<size_t>(pixel), channel);
  }
};

struct ForwardBody {
  static constexpr int kThreads = kLanes * kFilters, kPhases = 2;
  struct Shared {
    float sum[kThreads][kImages];
  };
  struct State {};
  Problem p;
  View x, y;
  const float *weights, *biases;
  float* sums;  // null: nobody wants them
  Activation activation;
  // Blocks: x = place, run of filters; y = run of images.
  template <int phase>
  DN_HD void run(const cuda::Place& block, State&, Shared& shared) const {
    const int runs = (p.filters + kFilters - 1) / kFilters, lane = block.thread % kLanes, first = block.y * kImages;
    const size_t place = static_cast<size_t>(block.x / runs);
    const int filter = block.x % runs * kFilters + block.thread / kLanes;
    if (filter >= p.filters) return;
    if constexpr (phase == 0) {
      const float* const w = weights + (place * static_cast<size_t>(p.filters) + static_cast<size_t>(filter)) * p.fan_in();
      float sum[kImages] = {};
      for (int k = lane; k < static_cast<int>(p.fan_in()); k += kLanes) {
        const int pixel = p.pixel(place, k % p.taps());
        if (pixel < 0) continue;
        for (int n = 0; n < kImages && first + n < p.images; ++n) sum[n] += w[k] * x.get(p.at(x, first + n, pixel, k / p.taps()));
      }
      for (int n = 0; n < kImages; ++n) shared.sum[block.thread][n] = sum[n];
    } else if (lane < kImages && first + lane < p.images) {  // a lane puts together one image
      double z = static_cast<double>(biases[static_cast<size_t>(filter) * p.places() + place]);
      for (int k = 0; k < kLanes; ++k) z += static_cast<double>(shared.sum[block.thread - lane + k][lane]);
      if (sums) sums[p.sum_at(first + lane, place, filter)] = static_cast<float>(z);
      y.set(y.at(static_cast<size_t>(first + lane) * p.places() + place, filter), activate(activation, static_cast<float>(z)));
    }
  }
};

// dz = dy f'(z)
struct SlopeBody {
  Problem p;
  View dy;
  const float* sums;  // null: linear
  float* dz;
  Activation activation;
  DN_HD void operator()(size_t i) const {
    const size_t filters = static_cast<size_t>(p.filters);
    const float slope = sums ? activation_slope(activation, sums[i]) : 1;
    dz[i] = dy.get(dy.at(i / filters, static_cast<int>(i % filters))) * slope;
  }
};

struct BiasBody {
  Problem p;
  const float* dz;
  float* gradient;
  bool add;
  DN_HD void operator()(size_t i) const {
    double sum = 0;
    for (int n = 0; n < p.images; ++n)
      sum += static_cast<double>(dz[p.sum_at(n, i / static_cast<size_t>(p.filters), static_cast<int>(i % static_cast<size_t>(p.filters)))]);
    float& to = gradient[i % static_cast<size_t>(p.filters) * p.places() + i / static_cast<size_t>(p.filters)];
    to = static_cast<float>(add ? static_cast<double>(to) + sum : sum);
  }
};

struct WeightBody {
  Problem p;
  View x;
  const float* dz;
  float* gradient;
  bool add;
  DN_HD void operator()(size_t i) const {
    const size_t row = i / p.fan_in(), place = row / static_cast<size_t>(p.filters);
    const int k = static_cast<int>(i % p.fan_in()), filter = static_cast<int>(row % static_cast<size_t>(p.filters)),
              pixel = p.pixel(place, k % p.taps());
    float sum = 0;
    for (int n = 0; n < p.images && pixel >= 0; ++n) sum += dz[p.sum_at(n, place, filter)] * x.get(p.at(x, n, pixel, k / p.taps()));
    gradient[i] = add ? gradient[i] + sum : sum;
  }
};

// One value of dx in kImages images: all places whose window holds its pixel.
struct InputBody {
  Problem p;
  const float *dz, *weights;
  View dx;
  bool add;
  DN_HD void operator()(size_t i) const {
    const size_t channels = static_cast<size_t>(p.channels), pixels = static_cast<size_t>(p.height * p.width);
    const int channel = static_cast<int>(i % channels), pixel = static_cast<int>(i / channels % pixels),
              first = static_cast<int>(i / channels / pixels) * kImages;
    float sum[kImages] = {};
    for (int tap = 0; tap < p.taps(); ++tap) {
      const int y = pixel / p.width + p.padding - tap / p.size, x = pixel % p.width + p.padding - tap % p.size;  // of the place, times stride
      if (y < 0 || x < 0 || y % p.stride != 0 || x % p.stride != 0 || y / p.stride >= p.out_height || x / p.stride >= p.out_width) continue;
      const size_t place = static_cast<size_t>(y / p.stride) * static_cast<size_t>(p.out_width) + static_cast<size_t>(x / p.stride);
      for (int filter = 0; filter < p.filters; ++filter) {
        const float w = weights[(place * static_cast<size_t>(p.filters) + static_cast<size_t>(filter)) * p.fan_in() +
                                static_cast<size_t>(channel * p.taps() + tap)];
        for (int n = 0; n < kImages && first + n < p.images; ++n) sum[n] += w * dz[p.sum_at(first + n, place, filter)];
      }
    }
    for (int n = 0; n < kImages && first + n < p.images; ++n) {
      const size_t at = p.at(dx, first + n, pixel, channel);
      dx.set(at, add ? dx.get(at) + sum[n] : sum[n]);
    }
  }
};

class LocalCuda : public Kernel {
 public:
  LocalCuda(const Local& layer, cuda::Device& device, const KernelArgs& args)
      : device_(device), args_(args), activation_(layer.activation()), linear_(layer.activation() == Activation::linear) {
    const Shape &in = args.x[0].shape, &out = args.y.shape;
    p_ = {in.n, in.c, in.h, in.w, out.c, out.h, out.w, layer.spec().size, layer.spec().stride, layer.padding()};
    args_.dx.resize(1, Write::none);
  }
  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (args_.training && !linear_) n.saved = {sum_bytes()};
    if (args_.backward) n.backward_scratch = sum_bytes();
    return n;
  }

  void forward(const Io& io, const Pass&) override {
    cuda::zero_padding(device_.stream(), io.y);
    const int runs = (p_.filters + kFilters - 1) / kFilters;
    cuda::launch_blocks(
        device_.stream(), {static_cast<int>(p_.places()) * runs, image_runs()},
        ForwardBody{p_, cuda::view(io.x[0]), cuda::view(io.y), io.params[1].value.data(), io.params[0].value.data(), sums(io), activation_});
  }

  void backward(const Io& io, const Pass& pass) override {
    const bool add = pass.param_grads == Write::accumulate;
    float* const dz = reinterpret_cast<float*>(io.scratch);
    cuda::Stream& stream = device_.stream();
    cuda::for_each(stream, sum_bytes() / sizeof(float), SlopeBody{p_, cuda::view(io.dy), sums(io), dz, activation_});
    if (!args_.frozen) {
      cuda::for_each(stream, io.params[0].grad.size(), BiasBody{p_, dz, io.params[0].grad.data(), add});
      cuda::for_each(stream, io.params[1].grad.size(), WeightBody{p_, cuda::view(io.x[0]), dz, io.params[1].grad.data(), add});
    }
    if (args_.dx[0] == Write::none) return;
    const View dx = cuda::view(io.dx[0]);
    if (args_.dx[0] == Write::overwrite) cuda::zero_padding(stream, io.dx[0]);
    cuda::for_each(stream, static_cast<size_t>(image_runs()) * static_cast<size_t>(p_.height * p_.width) * static_cast<size_t>(p_.channels),
                   InputBody{p_, dz, io.params[1].value.data(), dx, args_.dx[0] == Write::accumulate});
  }

 private:
  size_t sum_bytes() const { return args_.y.shape.count() * sizeof(float); }
  int image_runs() const { return (p_.images + kImages - 1) / kImages; }
  float* sums(const Io& io) const { return args_.training && !linear_ ? reinterpret_cast<float*>(io.saved[0]) : nullptr; }

  cuda::Device& device_;
  KernelArgs args_;
  Activation activation_;
  bool linear_;
  Problem p_{};
};

}  // namespace

std::unique_ptr<Kernel> Local::compile_cuda(const Local& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<LocalCuda>(layer, device, args);
}

}  // namespace dn
