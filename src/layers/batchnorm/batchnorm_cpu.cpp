// [batchnorm] on the CPU: the sweeps of nn/batch_norm.h without an activation.
#include "device/cpu/device.h"
#include "layers/batchnorm/batchnorm.h"
#include "nn/batch_norm.h"
#include "nn/elementwise.h"

namespace dn {
namespace {

class BatchnormKernel : public Kernel {
 public:
  BatchnormKernel(const Batchnorm& layer, cpu::Device& device, const KernelArgs& args)
      : args_(args), threads_(device.threads()), norm_(layer.norm(), args.y, Activation::linear, device.threads()) {}

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (args_.training)
      n.saved = {norm_.saved_bytes()}, n.saved_once = 0;
    else
      n.forward_scratch = norm_.saved_bytes();
    n.backward_scratch = norm_.backward_scratch_bytes();
    return n;
  }

  int forward_phases() const override { return 2; }

  void forward(const Io& io, const Pass& pass) override {
    std::byte* vectors = args_.training ? io.saved[0] : io.scratch;
    if (pass.phase == 1)
      norm_.apply(io.x[0], vectors, io.y);
    else if (args_.training && !args_.frozen)
      norm_.collect(io.x[0], params(io), vectors, pass);
    else
      norm_.use_running(params(io), vectors);
  }

  void backward(const Io& io, const Pass& pass) override {
    const bool direct = args_.dx[0] == Write::overwrite;
    const Tensor target = direct ? io.dx[0] : io.dy;  // dy may be destroyed, so it holds the gradient that is then added
    norm_.backward(io.x[0], io.dy, params(io), io.saved[0], io.scratch, pass.param_grads, target);
    if (args_.dx[0] == Write::accumulate) add_to(threads_, io.dx[0].data, io.dy.data, args_.x[0].count());
  }

 private:
  static NormParams params(const Io& io) { return {io.params[0], io.params[1], io.params[2], io.params[3], io.norm_updates}; }
  KernelArgs args_;
  int threads_;
  BatchNorm norm_;
};

}  // namespace

std::unique_ptr<Kernel> Batchnorm::compile_cpu(const Batchnorm& layer, cpu::Device& device, const KernelArgs& args) {
  check_statistics(layer, args);
  return std::make_unique<BatchnormKernel>(layer, device, args);
}

}  // namespace dn
