// [activation] on a GPU: a thread makes eight channels of a pixel.
#include "device/cuda/launch.h"
#include "layers/activation/activation_layer.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::View;

struct ActivateBody {
  View x, y;
  Activation activation;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    Eight value = x.get_eight(x.at(pixel, channel));
    for (int k = 0; k < cuda::kEight; ++k) value.v[k] = activate(activation, value.v[k]);
    cuda::clear_padding(value, channel, y.c);
    y.set_eight(y.at(pixel, channel), value);
  }
};

struct ActivateBackwardBody {
  View x, dy, dx;
  Activation activation;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dx, i);
    const Eight value = x.get_eight(x.at(pixel, channel));
    Eight gradient = dy.get_eight(dy.at(pixel, channel));
    for (int k = 0; k < cuda::kEight; ++k) gradient.v[k] *= activation_slope(activation, value.v[k]);
    cuda::put_eight(dx, dx.at(pixel, channel), gradient, add);
  }
};

class ActivationCuda : public Kernel {
 public:
  ActivationCuda(const ActivationLayer& layer, cuda::Device& device, const KernelArgs& args)
      : activation_(layer.activation()), device_(device), args_(args) {}
  Needs needs() const override { return {.x_in_backward = args_.backward}; }

  void forward(const Io& io, const Pass&) override {
    const View y = cuda::view(io.y);
    cuda::for_each(device_.stream(), y.eights(), ActivateBody{cuda::view(io.x[0]), y, activation_});
  }

  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] == Write::none) return;
    const View dx = cuda::view(io.dx[0]);
    cuda::for_each(device_.stream(), dx.eights(),
                   ActivateBackwardBody{cuda::view(io.x[0]), cuda::view(io.dy), dx, activation_, args_.dx[0] == Write::accumulate});
  }

 private:
  Activation activation_;
  cuda::Device& device_;
  KernelArgs args_;
};

}  // namespace

std::unique_ptr<Kernel> ActivationLayer::compile_cuda(const ActivationLayer& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<ActivationCuda>(layer, device, args);
}

}  // namespace dn
