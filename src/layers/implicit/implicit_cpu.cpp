// [implicit] on the CPU: a few values, copied to every image and summed over them.
#include <algorithm>

#include "device/cpu/device.h"
#include "layers/implicit/implicit.h"
#include "nn/normalize.h"

namespace dn {
namespace {

class ImplicitCpu : public Kernel {
 public:
  ImplicitCpu(cpu::Device& device, const KernelArgs& args) : threads_(device.threads()), shape_(args.y.shape) {}
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    clear_padding(threads_, io.y);
    each_value([&](int n, int c, int a, size_t i) { io.y.at(n, c, a, 0) = io.params[0].value[i]; });
  }

  void backward(const Io& io, const Pass& pass) override {
    const std::span<float> gradient = io.params[0].grad;
    std::vector<double> sums(gradient.size(), 0.0);
    each_value([&](int n, int c, int a, size_t i) { sums[i] += static_cast<double>(io.dy.at(n, c, a, 0)); });
    for (size_t i = 0; i < sums.size(); ++i)
      gradient[i] = static_cast<float>(sums[i] + (pass.param_grads == Write::accumulate ? static_cast<double>(gradient[i]) : 0.0));
  }

 private:
  // visit(image, channel, atom, index of the weight)
  template <class Visit>
  void each_value(const Visit& visit) const {
    for (int n = 0; n < shape_.n; ++n)
      for (int c = 0; c < shape_.c; ++c)
        for (int a = 0; a < shape_.h; ++a) visit(n, c, a, static_cast<size_t>(c) * static_cast<size_t>(shape_.h) + static_cast<size_t>(a));
  }

  int threads_;
  Shape shape_;
};

}  // namespace

std::unique_ptr<Kernel> Implicit::compile_cpu(const Implicit&, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ImplicitCpu>(device, args);
}

}  // namespace dn
