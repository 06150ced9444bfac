// [upsample] on a GPU: a thread makes eight channels of a pixel. Backward gathers, so that sums have one order.
#include "device/cuda/launch.h"
#include "device/cuda/view.h"
#include "layers/upsample/upsample.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::View;

// to = scale (the sum of from's square, enlarged: the one pixel), added where `add`.
struct ResampleBody {
  View from, to;
  int stride;
  bool reduce, add;
  float scale;
  DN_HD void operator()(size_t i) const {
    const int groups = to.groups(), channel = static_cast<int>(i % static_cast<size_t>(groups)) * cuda::kEight;
    const size_t pixel = i / static_cast<size_t>(groups), row = pixel / static_cast<size_t>(to.w);
    const int x = static_cast<int>(pixel % static_cast<size_t>(to.w)), y = static_cast<int>(row % static_cast<size_t>(to.h));
    const int n = static_cast<int>(row / static_cast<size_t>(to.h));
    Eight sum{};
    if (reduce) {
      for (int dy = 0; dy < stride; ++dy)
        for (int dx = 0; dx < stride; ++dx) {
          const Eight one = from.get_eight(from.at(n, y * stride + dy, x * stride + dx, channel));
          for (int k = 0; k < cuda::kEight; ++k) sum.v[k] += one.v[k];
        }
    } else if (y / stride < from.h && x / stride < from.w) {   // else what a reduction left out
      sum = from.get_eight(from.at(n, y / stride, x / stride, channel));
    }
    for (int k = 0; k < cuda::kEight; ++k) sum.v[k] *= scale;
    if (add)
      to.add_eight(to.at(pixel, channel), sum);
    else
      to.set_eight(to.at(pixel, channel), sum);
  }
};

class UpsampleCudaKernel : public Kernel {
 public:
  UpsampleCudaKernel(const Upsample& layer, cuda::Device& device, const KernelArgs& args) : layer_(layer), device_(device), args_(args) {}
  Needs needs() const override { return {}; }
  void forward(const Io& io, const Pass&) override { run(io.x[0], io.y, !layer_.enlarges(), false); }
  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] != Write::none) run(io.dy, io.dx[0], layer_.enlarges(), args_.dx[0] == Write::accumulate);
  }

 private:
  void run(const Tensor& from, const Tensor& to, bool reduce, bool add) const {
    const View target = cuda::view(to);
    cuda::for_each(device_.stream(), target.eights(), ResampleBody{cuda::view(from), target, layer_.factor(), reduce, add, layer_.spec().scale});
  }

  const Upsample& layer_;
  cuda::Device& device_;
  KernelArgs args_;
};

}  // namespace

std::unique_ptr<Kernel> Upsample::compile_cuda(const Upsample& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<UpsampleCudaKernel>(layer, device, args);
}

}  // namespace dn
