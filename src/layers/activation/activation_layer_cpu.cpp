// [activation] on the CPU: the sweeps of nn/normalize.h with nothing to normalize.
#include "device/cpu/device.h"
#include "layers/activation/activation_layer.h"
#include "nn/elementwise.h"
#include "nn/normalize.h"

namespace dn {
namespace {

class ActivationCpu : public Kernel {
 public:
  ActivationCpu(const ActivationLayer& layer, cpu::Device& device, const KernelArgs& args)
      : threads_(device.threads()),
        activation_(layer.activation()),
        args_(args),
        zero_(static_cast<size_t>(args.y.padded_channels()), 0.f),
        one_(zero_.size(), 1.f) {
    ensure(args.x[0].block == args.y.block, "activation needs equally blocked tensors");
  }
  Needs needs() const override { return {.x_in_backward = args_.backward}; }

  void forward(const Io& io, const Pass&) override { normalize_activate(threads_, io.x[0], identity(), activation_, io.y); }

  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] == Write::none) return;
    const Tensor& dz = args_.dx[0] == Write::accumulate ? io.dy : io.dx[0];
    normalize_activate_backward(threads_, io.x[0], io.dy, identity(), activation_, {}, dz);
    if (args_.dx[0] == Write::accumulate) add_images(threads_, io.dx[0], dz);
  }

 private:
  ChannelAffine identity() const { return {zero_.data(), one_.data(), zero_.data()}; }

  int threads_;
  Activation activation_;
  KernelArgs args_;
  std::vector<float> zero_, one_;  // per channel
};

}  // namespace

std::unique_ptr<Kernel> ActivationLayer::compile_cpu(const ActivationLayer& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ActivationCpu>(layer, device, args);
}

}  // namespace dn
