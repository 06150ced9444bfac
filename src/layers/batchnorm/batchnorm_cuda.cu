// [batchnorm] on a GPU: nn/cuda/norm.h without an activation.
#include <algorithm>

#include "layers/batchnorm/batchnorm.h"
#include "nn/cuda/layout.h"
#include "nn/cuda/norm.h"

namespace dn {
namespace {

class BatchnormCudaKernel : public Kernel {
 public:
  BatchnormCudaKernel(const Batchnorm& layer, cuda::Device& device, const KernelArgs& args, std::unique_ptr<cuda::Norm> norm)
      : args_(args), device_(device), spec_(layer.norm()), norm_(std::move(norm)) {}

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    n.forward_scratch = norm_->scratch_bytes();
    if (args_.training)
      n.saved = {norm_->saved_bytes()}, n.saved_once = 0;
    else
      n.forward_scratch += vectors_bytes();
    n.backward_scratch = norm_->scratch_bytes();
    return n;
  }

  int forward_phases() const override { return 2; }
  void prepare(const Io&, const Pass& pass) override { norm_->prepare(pass); }

  void forward(const Io& io, const Pass& pass) override {
    std::byte* const vectors = args_.training ? io.saved[0] : io.scratch;
    if (pass.phase == 0)
      norm_->collect(io.x[0], params(io), io.norm_updates, vectors, args_.training ? io.scratch : io.scratch + vectors_bytes(), pass);
    else
      norm_->apply(io.x[0], vectors, {}, io.y);
  }

  void backward(const Io& io, const Pass& pass) override {
    const Tensor target = args_.dx[0] == Write::overwrite ? io.dx[0] : io.dy;  // dy may be destroyed, so it holds the gradient that is then added
    norm_->backward(io.x[0], io.dy, params(io), io.saved[0], io.scratch, pass, target);
    if (args_.dx[0] == Write::accumulate) cuda::copy_tensor(device_.stream(), io.dy, io.dx[0], true);
  }

 private:
  size_t vectors_bytes() const { return round_up(norm_->saved_bytes(), size_t{64}); }
  NormParams params(const Io& io) const { return norm_params(spec_, io.params[0], io.params.subspan(1), io.norm); }

  KernelArgs args_;
  cuda::Device& device_;
  NormSpec spec_;
  std::unique_ptr<cuda::Norm> norm_;
};

}  // namespace

std::unique_ptr<Kernel> Batchnorm::compile_cuda(const Batchnorm& layer, cuda::Device& device, const KernelArgs& args) {
  if (layer.norm().batch_statistics() && args.training && !args.frozen) check_statistics(layer, args.y.shape);
  auto norm = cuda::make_norm(layer.norm(), args.y.dense(), Activation::linear, device, !args.training || args.frozen);
  if (!norm) return nullptr;
  return std::make_unique<BatchnormCudaKernel>(layer, device, args, std::move(norm));
}

}  // namespace dn
