// [sam] on a GPU: a thread makes eight channels of a pixel, in backward of both gradients.
#include "device/cuda/launch.h"
#include "layers/sam/sam.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

struct SamBody {
  View a, x, y;
  Activation activation;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    const Eight factor = a.get_eight(a.at(pixel, channel)), input = x.get_eight(x.at(pixel, channel));
    Eight value;
    for (int k = 0; k < kEight; ++k) value.v[k] = activate(activation, factor.v[k] * input.v[k]);
    cuda::clear_padding(value, channel, y.c);
    y.set_eight(y.at(pixel, channel), value);
  }
};

struct SamBackwardBody {
  View a, x, dy, da, dx;  // da, dx: without data where nobody wants them
  Activation activation;
  bool add_a, add_x;
  // da first: `from` may be the layer before, and its second gradient then adds to the first.
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dy, i);
    const Eight factor = a.get_eight(a.at(pixel, channel)), input = x.get_eight(x.at(pixel, channel));
    Eight of_a = dy.get_eight(dy.at(pixel, channel)), of_x;
    for (int k = 0; k < kEight; ++k) {
      const float slope = of_a.v[k] * activation_slope(activation, factor.v[k] * input.v[k]);
      of_a.v[k] = slope * input.v[k], of_x.v[k] = slope * factor.v[k];
    }
    if (da.data) cuda::put_eight(da, da.at(pixel, channel), of_a, add_a);
    if (dx.data) cuda::put_eight(dx, dx.at(pixel, channel), of_x, add_x);
  }
};

class SamCuda : public Kernel {
 public:
  SamCuda(const Sam& layer, cuda::Device& device, const KernelArgs& args) : activation_(layer.activation()), device_(device), args_(args) {
    args_.dx.resize(2, Write::none);
  }
  Needs needs() const override { return {.x_in_backward = args_.backward}; }

  void forward(const Io& io, const Pass&) override {
    const View y = cuda::view(io.y);
    cuda::for_each(device_.stream(), y.eights(), SamBody{cuda::view(io.x[0]), cuda::view(io.x[1]), y, activation_});
  }

  void backward(const Io& io, const Pass&) override {
    const View dy = cuda::view(io.dy);
    SamBackwardBody body{
        cuda::view(io.x[0]), cuda::view(io.x[1]), dy, {}, {}, activation_, args_.dx[0] == Write::accumulate, args_.dx[1] == Write::accumulate};
    if (args_.dx[0] != Write::none) body.da = cuda::view(io.dx[0]);
    if (args_.dx[1] != Write::none) body.dx = cuda::view(io.dx[1]);
    if (body.da.data || body.dx.data) cuda::for_each(device_.stream(), dy.eights(), body);
  }

 private:
  Activation activation_;
  cuda::Device& device_;
  KernelArgs args_;
};

}  // namespace

std::unique_ptr<Kernel> Sam::compile_cuda(const Sam& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<SamCuda>(layer, device, args);
}

}  // namespace dn
