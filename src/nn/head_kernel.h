// What the CPU kernels of detection heads share. x is channel-blocked [N,C/b,H,W,b] (or plain), y plain with the same shape. Forward copies x to y,
// activates it there, and in training has each image's loss computed; saved[0] = delta = -d loss / d x, plain like y. Backward: dx = -scale * delta.
#pragma once

#include "device/cpu/device.h"
#include "nn/kernel.h"

namespace dn {

class HeadKernel : public Kernel {
 public:
  HeadKernel(cpu::Device& device, const KernelArgs& args, float gradient_scale = 1);
  Needs needs() const override;
  void forward(const Io& io, const Pass& pass) override;
  void backward(const Io& io, const Pass& pass) override;

 protected:
  // One channel's values, in place; called for many planes at once.
  virtual void activate_plane(int /*channel*/, float* /*values*/, size_t /*count*/) const {}
  // Then parts of an image that are activated as a whole, each [of parts()]; called for many parts at once.
  virtual size_t parts() const { return 0; }
  virtual void activate_part(float* /*image*/, size_t /*part*/) const {}
  // Once before the losses of a mini-batch.
  virtual void before_losses(const Io& /*io*/, const Pass& /*pass*/) {}
  // Loss of image n of the mini-batch: delta is to be overwritten. Called for many images at once.
  virtual void image_loss(size_t n, const float* output, std::span<const TruthBox> truths, const Pass& pass, float* delta) = 0;
  // Of all images, added up in their order.
  virtual LossReport report() const = 0;

  int threads_;
  KernelArgs args_;
  size_t images_;

 private:
  void copy_plane(const Tensor& x, const Tensor& y, int n, int c) const;
  template <bool accumulate>
  void hand_on(const float* delta, const Tensor& dx, int n, int block) const;

  float scale_;
};

// Of a mini-batch, from its images: sums, the three losses per image.
DN_HD inline LossReport mini_batch_report(const LossReport* images, size_t count) {
  LossReport sum;
  for (size_t i = 0; i < count; ++i) sum += images[i];
  const double most = count > 1 ? static_cast<double>(count) : 1;
  sum.class_loss /= most;
  sum.iou_loss /= most;
  sum.total_loss /= most;
  return sum;
}
inline LossReport mini_batch_report(std::span<const LossReport> images) { return mini_batch_report(images.data(), images.size()); }

// Images of this run that were trained on before the batch of this pass, when each mini-batch of each rank has `images` of them.
uint64_t images_seen(const Pass& pass, size_t images);

}  // namespace dn
