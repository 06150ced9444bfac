// The fused sweeps over channel-blocked activations: statistics, normalise + activate, and their backward. One read and at most one write of a
// tensor each; the pre-activation z = (x - mean) * scale + shift is recomputed, never stored. Without normalization mean = 0, scale = 1,
// shift = bias. Vectorised with Highway, parallel over (image, channel block, piece of pixels); sums are merged in that order, so results do
// not depend on the thread count.
#pragma once

#include <span>

#include "nn/activation.h"
#include "nn/moments.h"
#include "tensor/tensor.h"

namespace dn {

// Per-channel vectors, padded_channels() long, zero in the padding.
struct ChannelAffine {
  const float* mean = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  size_t image_stride = 0;   // floats from one image's vectors to the next; 0: all images have the same
};

// moments[c] over n, h, w of x. moments.size() == C.
void channel_moments(int threads, const Tensor& x, std::span<Moments> moments);
// moments[n * C + c] over h, w of x.
void image_moments(int threads, const Tensor& x, std::span<Moments> moments);

// y = activate(z). y may be x.
void normalize_activate(int threads, const Tensor& x, const ChannelAffine& affine, Activation activation, const Tensor& y);

// dz = dy * activate'(z):  sum_dz[c] = sum dz,  sum_dz_x[c] = sum dz * (x - mean).  Both C long.
void gradient_sums(int threads, const Tensor& x, const Tensor& dy, const ChannelAffine& affine, Activation activation, std::span<double> sum_dz,
                   std::span<double> sum_dz_x);
// The same per image: [n * C + c].
void image_gradient_sums(int threads, const Tensor& x, const Tensor& dy, const ChannelAffine& affine, Activation activation, std::span<double> sum_dz,
                         std::span<double> sum_dz_x);

// dx = scale * dz + offset + slope * (x - mean), per channel; batch normalization has offset = -scale * S1 / n and
// slope = -scale * inv_std^2 * sum_dz_x / n (normalization notes, section 1). dx may be dy or x.
struct GradientAffine {
  const float* offset = nullptr;   // null: zero
  const float* slope = nullptr;    // null: zero
  size_t image_stride = 0;
};
void normalize_activate_backward(int threads, const Tensor& x, const Tensor& dy, const ChannelAffine& affine, Activation activation,
                                 const GradientAffine& gradient, const Tensor& dx);

// Zeroes the channels beyond C of the last block.
void clear_padding(int threads, const Tensor& t);

}  // namespace dn
