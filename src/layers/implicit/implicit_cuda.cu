// [implicit] on a GPU: a few values, copied to every image and summed over them.
#include "device/cuda/launch.h"
#include "layers/implicit/implicit.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::View;

struct ImplicitBody {
  const float* weights;  // [C, atoms]
  View y;                // [N, C, atoms, 1]
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    const size_t atoms = static_cast<size_t>(y.h), atom = pixel % atoms;
    Eight value{};
    for (int k = 0; k < cuda::kEight && channel + k < y.c; ++k) value.v[k] = weights[static_cast<size_t>(channel + k) * atoms + atom];
    y.set_eight(y.at(pixel, channel), value);
  }
};

struct ImplicitGradientBody {
  View dy;
  float* gradient;
  bool add;
  DN_HD void operator()(size_t i) const {  // channels of neighbouring threads are neighbours
    const size_t channels = static_cast<size_t>(dy.c), atoms = static_cast<size_t>(dy.h), channel = i % channels, atom = i / channels;
    double sum = 0;
    for (int n = 0; n < dy.n; ++n) sum += static_cast<double>(dy.get(dy.at(static_cast<size_t>(n) * atoms + atom, static_cast<int>(channel))));
    float& to = gradient[channel * atoms + atom];
    to = static_cast<float>(add ? static_cast<double>(to) + sum : sum);
  }
};

class ImplicitCuda : public Kernel {
 public:
  explicit ImplicitCuda(cuda::Device& device) : device_(device) {}
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    const View y = cuda::view(io.y);
    cuda::for_each(device_.stream(), y.eights(), ImplicitBody{io.params[0].value.data(), y});
  }
  void backward(const Io& io, const Pass& pass) override {
    const auto gradient = io.params[0].grad;
    cuda::for_each(device_.stream(), gradient.size(),
                   ImplicitGradientBody{cuda::view(io.dy), gradient.data(), pass.param_grads == Write::accumulate});
  }

 private:
  cuda::Device& device_;
};

}  // namespace

std::unique_ptr<Kernel> Implicit::compile_cuda(const Implicit&, cuda::Device& device, const KernelArgs&) {
  return std::make_unique<ImplicitCuda>(device);
}

}  // namespace dn
