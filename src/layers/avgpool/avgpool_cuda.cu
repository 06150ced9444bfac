// [avgpool] on a GPU: the sums of every image's channels in two levels (nn/cuda/channel_sums.h); backward spreads eight channels of a pixel per thread.
#include "layers/avgpool/avgpool.h"
#include "nn/cuda/channel_sums.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

struct ValueSource {
  using Merge = cuda::MergeSums;
  using Sum = Eight;
  View x;
  DN_HD void add(Sum& sum, size_t pixel, int channel, int) const {
    const Eight value = x.get_eight(x.at(pixel, channel));
    for (int k = 0; k < kEight; ++k) sum.v[k] += value.v[k];
  }
  DN_HD void pairs(const Sum& sum, float, cuda::Pair* out) const {
    for (int k = 0; k < kEight; ++k) out[k] = {static_cast<double>(sum.v[k]), 0};
  }
};

// The last channel clears the padding behind it.
struct StoreMean {
  View y;
  DN_HD void operator()(int channel, int image, const cuda::Pair& sum, double count) const {
    const size_t pixel = static_cast<size_t>(image);
    y.set(y.at(pixel, channel), static_cast<float>(sum.a / count));
    for (int padding = y.c; channel == y.c - 1 && padding < y.padded; ++padding) y.set(y.at(pixel, padding), 0.f);
  }
};

struct SpreadBody {
  View dy, dx;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dx, i);
    Eight part = dy.get_eight(dy.at(pixel / cuda::plane_of(dx), channel));
    for (int k = 0; k < kEight; ++k) part.v[k] /= static_cast<float>(cuda::plane_of(dx));
    cuda::put_eight(dx, dx.at(pixel, channel), part, add);
  }
};

class AvgpoolCuda : public Kernel {
 public:
  AvgpoolCuda(cuda::Device& device, const KernelArgs& args) : device_(device), args_(args), strips_(args.x[0], true) {}
  Needs needs() const override {
    Needs needs;
    needs.forward_scratch = strips_.scratch_bytes();
    return needs;
  }

  void forward(const Io& io, const Pass&) override {
    cuda::sum_channels(device_.stream(), strips_, ValueSource{cuda::view(io.x[0])}, io.scratch, StoreMean{cuda::view(io.y)});
  }
  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] == Write::none) return;
    const View dx = cuda::view(io.dx[0]);
    cuda::for_each(device_.stream(), dx.eights(), SpreadBody{cuda::view(io.dy), dx, args_.dx[0] == Write::accumulate});
  }

 private:
  cuda::Device& device_;
  KernelArgs args_;
  cuda::Strips strips_;
};

}  // namespace

std::unique_ptr<Kernel> Avgpool::compile_cuda(const Avgpool&, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<AvgpoolCuda>(device, args);
}

}  // namespace dn
