// Normalization with the activation behind it on a GPU: nn/norm.h on channels-last tensors. The arithmetic of a channel is shared with the CPU
// (nn/batch_norm_channel.h); what changes from pass to pass is read on the device (PassNumbers), so that steps can be replayed.
#pragma once

#include "device/cuda/device.h"
#include "nn/norm.h"

namespace dn::cuda {

class Norm {
 public:
  virtual ~Norm() = default;
  virtual size_t saved_bytes() const = 0;
  virtual size_t scratch_bytes() const = 0;   // of collect, and of backward
  virtual void prepare(const Pass&) {}        // before the pass, outside of recordings
  // updates: NormState::updates on the device.
  virtual void collect(const Tensor& x, const NormParams& params, int64_t* updates, std::byte* saved, std::byte* scratch, const Pass& pass) = 0;
  // y = activate(norm(x)) + residual (without data: nothing). y may be x.
  virtual void apply(const Tensor& x, const std::byte* saved, const Tensor& residual, const Tensor& y) const = 0;
  virtual void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                        const Tensor& dx) = 0;   // dx may be dy or x
};

// Not for lnc and frn, nor, where statistics are not constant, for those of past batches and of several ranks.
bool has_norm(const NormSpec& spec, bool constant);
// As dn::make_norm. Null: has_norm says so.
std::unique_ptr<Norm> make_norm(const NormSpec& spec, const TensorDesc& desc, Activation activation, Device& device, bool constant);

// Delivers a parameter gradient, in kernels.
DN_HD inline void deliver_gradient(float* gradient, double value, Write mode) {
  if (mode == Write::overwrite) *gradient = static_cast<float>(value);
  if (mode == Write::accumulate) *gradient = static_cast<float>(*gradient + value);
}

}  // namespace dn::cuda
