// Backward of normalise + activate (see nn/normalize.h).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/normalize_backward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <vector>

#include "device/cpu/parallel.h"
#include "nn/activation-inl.h"
#include "nn/normalize.h"
#include "nn/normalize_pieces.h"

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {

// Sums over tiles in float, over tiles in double.
template <int B, Activation A>
void piece_sums(const float* x, const float* dy, size_t pixels, const float* mean, const float* scale, const float* shift, double* sum_dz, double* sum_dz_x) {
  constexpr size_t kTile = 256;
  const hn::CappedTag<float, B> d;
  alignas(64) float tile[B];
  for (size_t from = 0; from < pixels; from += kTile) {
    const size_t to = std::min(from + kTile, pixels);
    for (size_t lane = 0; lane < B; lane += hn::Lanes(d)) {
      const auto mu = hn::LoadU(d, mean + lane), k = hn::LoadU(d, scale + lane), b = hn::LoadU(d, shift + lane);
      auto s0 = hn::Zero(d), s1 = s0, t0 = s0, t1 = s0;
      const auto take = [&](size_t i, auto& s, auto& t) HWY_ATTR {
        const auto centred = hn::Sub(hn::Load(d, x + i), mu);
        const auto dz = hn::Mul(hn::Load(d, dy + i), slope<A>(d, hn::MulAdd(centred, k, b)));
        s = hn::Add(s, dz);
        t = hn::MulAdd(dz, centred, t);
      };
      size_t i = from * B + lane;
      for (; i + B < to * B; i += 2 * B) take(i, s0, t0), take(i + B, s1, t1);
      if (i < to * B) take(i, s0, t0);
      hn::Store(hn::Add(s0, s1), d, tile);
      for (size_t l = 0; l < hn::Lanes(d); ++l) sum_dz[lane + l] += tile[l];
      hn::Store(hn::Add(t0, t1), d, tile);
      for (size_t l = 0; l < hn::Lanes(d); ++l) sum_dz_x[lane + l] += tile[l];
    }
  }
}

void PieceSums(Activation activation, int block, const float* x, const float* dy, size_t pixels, const ChannelAffine& a, double* sum_dz, double* sum_dz_x) {
  dispatch_activation(activation, [&](auto kind) {
    if (block == 16)
      piece_sums<16, kind()>(x, dy, pixels, a.mean, a.scale, a.shift, sum_dz, sum_dz_x);
    else
      piece_sums<8, kind()>(x, dy, pixels, a.mean, a.scale, a.shift, sum_dz, sum_dz_x);
  });
}

template <int B, Activation A>
void piece_backward(const float* x, const float* dy, float* dx, size_t pixels, const ChannelAffine& a, const float* offset, const float* slope_x) {
  const hn::CappedTag<float, B> d;
  for (size_t lane = 0; lane < B; lane += hn::Lanes(d)) {
    const auto mu = hn::LoadU(d, a.mean + lane), k = hn::LoadU(d, a.scale + lane), b = hn::LoadU(d, a.shift + lane);
    const auto o = hn::LoadU(d, offset + lane), m = hn::LoadU(d, slope_x + lane);
    for (size_t i = lane; i < pixels * B; i += B) {
      const auto centred = hn::Sub(hn::Load(d, x + i), mu);
      const auto dz = hn::Mul(hn::Load(d, dy + i), slope<A>(d, hn::MulAdd(centred, k, b)));
      hn::Store(hn::MulAdd(k, dz, hn::MulAdd(m, centred, o)), d, dx + i);
    }
  }
}

void PieceBackward(Activation activation, int block, const float* x, const float* dy, float* dx, size_t pixels, const ChannelAffine& a,
                   const float* offset, const float* slope_x) {
  dispatch_activation(activation, [&](auto kind) {
    if (block == 16)
      piece_backward<16, kind()>(x, dy, dx, pixels, a, offset, slope_x);
    else
      piece_backward<8, kind()>(x, dy, dx, pixels, a, offset, slope_x);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(PieceSums);
HWY_EXPORT(PieceBackward);

namespace {

// The vectors of a piece's image, from its first channel on.
ChannelAffine at(const ChannelAffine& a, const Piece& piece) {
  const size_t first = piece.image * a.image_stride + static_cast<size_t>(piece.channel);
  return {a.mean + first, a.scale + first, a.shift + first};
}

// body(image, channel, sum of dz, sum of dz (x - mean)) of each piece, by image, then position.
template <class Body>
void for_piece_sums(int threads, const Tensor& x, const Tensor& dy, const ChannelAffine& affine, Activation activation, const Body& body) {
  const TensorDesc& desc = x.desc;
  const Pieces pieces(desc);
  const size_t block = static_cast<size_t>(desc.block), channels = static_cast<size_t>(desc.shape.c);
  std::vector<double> partial(pieces.count() * 2 * block, 0.0);
  cpu::parallel_for(threads, pieces.count(), [&](size_t i) {
    const Piece piece = pieces[i];
    double* sums = &partial[i * 2 * block];
    HWY_DYNAMIC_DISPATCH(PieceSums)
    (activation, desc.block, x.data + piece.offset(desc), dy.data + piece.offset(dy.desc), piece.pixels, at(affine, piece), sums, sums + block);
  });
  for (size_t i = 0; i < pieces.count(); ++i) {
    const Piece piece = pieces[i];
    const size_t first = static_cast<size_t>(piece.channel);
    for (size_t lane = 0; lane < block && first + lane < channels; ++lane)
      body(piece.image, first + lane, partial[i * 2 * block + lane], partial[i * 2 * block + block + lane]);
  }
}

}  // namespace

void gradient_sums(int threads, const Tensor& x, const Tensor& dy, const ChannelAffine& affine, Activation activation, std::span<double> sum_dz,
                   std::span<double> sum_dz_x) {
  std::fill(sum_dz.begin(), sum_dz.end(), 0.0);
  std::fill(sum_dz_x.begin(), sum_dz_x.end(), 0.0);
  for_piece_sums(threads, x, dy, affine, activation, [&](size_t, size_t channel, double dz, double dz_x) {
    sum_dz[channel] += dz;
    sum_dz_x[channel] += dz_x;
  });
}

void image_gradient_sums(int threads, const Tensor& x, const Tensor& dy, const ChannelAffine& affine, Activation activation, std::span<double> sum_dz,
                         std::span<double> sum_dz_x) {
  std::fill(sum_dz.begin(), sum_dz.end(), 0.0);
  std::fill(sum_dz_x.begin(), sum_dz_x.end(), 0.0);
  const size_t channels = static_cast<size_t>(x.desc.shape.c);
  for_piece_sums(threads, x, dy, affine, activation, [&](size_t image, size_t channel, double dz, double dz_x) {
    sum_dz[image * channels + channel] += dz;
    sum_dz_x[image * channels + channel] += dz_x;
  });
}

void normalize_activate_backward(int threads, const Tensor& x, const Tensor& dy, const ChannelAffine& affine, Activation activation,
                                 const GradientAffine& gradient, const Tensor& dx) {
  const TensorDesc& desc = x.desc;
  const Pieces pieces(desc);
  static constexpr float kZero[16] = {};
  cpu::parallel_for_back(threads, pieces.count(), [&](size_t i) {
    const Piece piece = pieces[i];
    const size_t first = piece.image * gradient.image_stride + static_cast<size_t>(piece.channel);
    const float* offset = gradient.offset ? gradient.offset + first : kZero;
    const float* slope = gradient.slope ? gradient.slope + first : kZero;
    HWY_DYNAMIC_DISPATCH(PieceBackward)
    (activation, desc.block, x.data + piece.offset(desc), dy.data + piece.offset(dy.desc), dx.data + piece.offset(dx.desc), piece.pixels,
     at(affine, piece), offset, slope);
  });
}

}  // namespace dn
#endif
