// The sweeps of nn/normalize.h on a GPU, on channels-last tensors. One read and at most one write of a tensor each.
#pragma once

#include "nn/cuda/activation.h"
#include "nn/cuda/channel_sums.h"

namespace dn::cuda {

// Vectors over the padded channels, zero in the padding, as dn::ChannelAffine and dn::GradientAffine: z = (x - mean) scale + shift.
struct Affine {
  const float *mean = nullptr, *scale = nullptr, *shift = nullptr;
  size_t image_stride = 0;   // from one image's vectors to the next; 0: all images have the same
};
struct GradientPart {
  const float *offset = nullptr, *slope = nullptr;   // null: zero
};

DN_HD inline Eight eight_of(const float* vector, size_t at) {
  Eight out;
  for (int k = 0; k < kEight; ++k) out.v[k] = vector[at + static_cast<size_t>(k)];
  return out;
}

// sum dz and sum dz (x - mean), dz = dy activate'(z).
template <class A>
struct GradientSource {
  using Merge = MergeSums;
  struct Sum {
    Eight dz, dz_x;
  };
  A activation;
  View x, dy;
  Affine affine;
  DN_HD void add(Sum& sum, size_t pixel, int channel, int image) const {
    const size_t at = static_cast<size_t>(image) * affine.image_stride + static_cast<size_t>(channel);
    const Eight v = x.get_eight(x.at(pixel, channel)), g = dy.get_eight(dy.at(pixel, channel));
    for (int k = 0; k < kEight; ++k) {
      const size_t c = at + static_cast<size_t>(k);
      const float d = v.v[k] - affine.mean[c], dz = g.v[k] * activation.slope(d * affine.scale[c] + affine.shift[c]);
      sum.dz.v[k] += dz;
      sum.dz_x.v[k] += dz * d;
    }
  }
  DN_HD void pairs(const Sum& sum, float, Pair* out) const {
    for (int k = 0; k < kEight; ++k) out[k] = {sum.dz.v[k], sum.dz_x.v[k]};
  }
};

// y = activate(z) + residual (without data: nothing). y may be x.
void normalize_activate(Stream& stream, const Tensor& x, const Affine& affine, Activation activation, const Tensor& residual, const Tensor& y);
// dx = scale dz + offset + slope (x - mean). dx may be dy or x.
void normalize_activate_backward(Stream& stream, const Tensor& x, const Tensor& dy, const Affine& affine, Activation activation, const GradientPart& gradient,
                                 const Tensor& dx);

// Vectors by image need strips by image. finish(channel, image, Pair{sum dz, sum dz (x - mean)}, count).
template <class Finish>
void gradient_sums(Stream& stream, const Strips& strips, const Tensor& x, const Tensor& dy, const Affine& affine, Activation activation, std::byte* scratch,
                   const Finish& finish) {
  with_activation(activation, [&](auto a) {
    sum_channels(stream, strips, GradientSource<decltype(a)>{a, view(x), view(dy), affine}, scratch, finish);
  });
}

}  // namespace dn::cuda
