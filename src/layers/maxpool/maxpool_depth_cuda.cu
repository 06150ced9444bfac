// [maxpool] with maxpool_depth=1 on a GPU: a thread makes one channel of a pixel, neighbours in memory. Every channel of x belongs to one of y, so that
// its gradient asks one winner.
#include "device/cuda/launch.h"
#include "layers/maxpool/maxpool.h"
#include "nn/cuda/cells.h"

namespace dn {
namespace {

using cuda::View;

// Padding channels included.
struct DepthBody {
  View x, y;
  uint32_t* winner;  // [pixel][padded channels]; null: nobody asks
  DN_HD void operator()(size_t i) const {
    const auto [pixel, g] = cuda::divide(i, y.padded);
    if (g >= y.c) return y.set(y.at(pixel, g), 0.f);
    float best = x.get(x.at(pixel, g));
    int at = g;
    for (int k = g + y.c; k < x.c; k += y.c)
      if (const float v = x.get(x.at(pixel, k)); v > best) best = v, at = k;
    y.set(y.at(pixel, g), best);
    if (winner) winner[i] = static_cast<uint32_t>(at);
  }
};

struct DepthBackwardBody {
  View dy, dx;
  const uint32_t* winner;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, k] = cuda::divide(i, dx.padded);
    const int g = k % dy.c;
    const bool won = k < dx.c && winner[pixel * static_cast<size_t>(dy.padded) + static_cast<size_t>(g)] == static_cast<uint32_t>(k);
    const float value = won ? dy.get(dy.at(pixel, g)) : 0.f;
    const size_t at = dx.at(pixel, k);
    dx.set(at, add ? dx.get(at) + value : value);
  }
};

class MaxpoolDepthCuda : public Kernel {
 public:
  MaxpoolDepthCuda(cuda::Device& device, const KernelArgs& args)
      : device_(device), dx_(args.backward && !args.dx.empty() ? args.dx[0] : Write::none), count_(args.y.count()) {}

  Needs needs() const override {
    if (dx_ == Write::none) return {};
    return {.saved = {count_ * sizeof(uint32_t)}};
  }
  void forward(const Io& io, const Pass&) override {
    cuda::for_each(device_.stream(), count_, DepthBody{cuda::view(io.x[0]), cuda::view(io.y), winners(io)});
  }
  void backward(const Io& io, const Pass&) override {
    if (dx_ == Write::none) return;
    const View dx = cuda::view(io.dx[0]);
    cuda::for_each(device_.stream(), dx.pixels() * static_cast<size_t>(dx.padded),
                   DepthBackwardBody{cuda::view(io.dy), dx, winners(io), dx_ == Write::accumulate});
  }

 private:
  uint32_t* winners(const Io& io) const { return dx_ == Write::none ? nullptr : reinterpret_cast<uint32_t*>(io.saved[0]); }

  cuda::Device& device_;
  Write dx_;
  size_t count_;
};

}  // namespace

std::unique_ptr<Kernel> Maxpool::compile_depth_cuda(cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<MaxpoolDepthCuda>(device, args);
}

}  // namespace dn
