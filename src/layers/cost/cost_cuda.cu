// [cost] on a GPU: a copy at inference. That it cannot be trained is said in one place, by the CPU's kernel.
#include "device/cuda/launch.h"
#include "layers/cost/cost.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::View;

struct CostBody {
  View x, y;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    y.set_eight(y.at(pixel, channel), x.get_eight(x.at(pixel, channel)));
  }
};

class CostCuda : public Kernel {
 public:
  explicit CostCuda(cuda::Device& device) : device_(device) {}
  Needs needs() const override { return {}; }
  void forward(const Io& io, const Pass&) override {
    const View y = cuda::view(io.y);
    cuda::for_each(device_.stream(), y.eights(), CostBody{cuda::view(io.x[0]), y});
  }
  void backward(const Io&, const Pass&) override { ensure(false, "no training plan has a [cost]"); }

 private:
  cuda::Device& device_;
};

}  // namespace

std::unique_ptr<Kernel> Cost::compile_cuda(const Cost&, cuda::Device& device, const KernelArgs& args) {
  if (args.training) return nullptr;
  return std::make_unique<CostCuda>(device);
}

}  // namespace dn
