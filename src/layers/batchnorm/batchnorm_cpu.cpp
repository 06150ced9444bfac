// [batchnorm] on the CPU: nn/norm.h without an activation.
#include "device/cpu/device.h"
#include "layers/batchnorm/batchnorm.h"
#include "nn/elementwise.h"
#include "nn/norm.h"

namespace dn {
namespace {

class BatchnormKernel : public Kernel {
 public:
  BatchnormKernel(const Batchnorm& layer, cpu::Device& device, const KernelArgs& args)
      : args_(args),
        threads_(device.threads()),
        spec_(layer.norm()),
        norm_(make_norm(spec_, args.y, Activation::linear, device.threads(), !args.training || args.frozen)) {}

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (args_.training)
      n.saved = {norm_->saved_bytes()}, n.saved_once = 0;
    else
      n.forward_scratch = norm_->saved_bytes();
    n.backward_scratch = norm_->backward_scratch_bytes();
    return n;
  }

  int forward_phases() const override { return 2; }

  void forward(const Io& io, const Pass& pass) override {
    std::byte* vectors = args_.training ? io.saved[0] : io.scratch;
    if (pass.phase == 0)
      norm_->collect(io.x[0], params(io), vectors, pass);
    else
      norm_->apply(io.x[0], params(io), vectors, io.y);
  }

  void backward(const Io& io, const Pass& pass) override {
    const bool direct = args_.dx[0] == Write::overwrite;
    const Tensor target = direct ? io.dx[0] : io.dy;  // dy may be destroyed, so it holds the gradient that is then added
    norm_->backward(io.x[0], io.dy, params(io), io.saved[0], io.scratch, pass, target);
    if (args_.dx[0] == Write::accumulate) add_to(threads_, io.dx[0].data, io.dy.data, args_.x[0].count());
  }

 private:
  NormParams params(const Io& io) const { return norm_params(spec_, io.params[0], io.params.subspan(1), io.norm); }
  KernelArgs args_;
  int threads_;
  NormSpec spec_;
  std::unique_ptr<Norm> norm_;
};

}  // namespace

std::unique_ptr<Kernel> Batchnorm::compile_cpu(const Batchnorm& layer, cpu::Device& device, const KernelArgs& args) {
  if (layer.norm().batch_statistics() && args.training && !args.frozen) check_statistics(layer, args.y.shape);
  return std::make_unique<BatchnormKernel>(layer, device, args);
}

}  // namespace dn
