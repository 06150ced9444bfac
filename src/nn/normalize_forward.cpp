// Statistics and normalise + activate (see nn/normalize.h).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/normalize_forward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/cache_control.h>
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

// About the mean of each lane over `pixels` pixels of one channel block; sums of x - about and of its square, which correct what float loses of the mean
// (the corrected two-pass algorithm; Chan, Golub, LeVeque 1983). The tile is small and read twice from the cache. The second time the memory would be
// idle, so the `next` pixels behind the tile are fetched then.
template <int B>
void tile_moments(const float* x, size_t pixels, size_t next, float* about, float* sum, float* squares) {
  const hn::CappedTag<float, B> d;
  const size_t lanes = hn::Lanes(d);
  const auto scale = hn::Set(d, 1.0f / static_cast<float>(pixels));
  for (size_t lane = 0; lane < B; lane += lanes) {
    auto a = hn::Zero(d), b = a, c = a, e = a;
    size_t p = 0;
    for (; p + 4 <= pixels; p += 4) {
      a = hn::Add(a, hn::Load(d, x + p * B + lane));
      b = hn::Add(b, hn::Load(d, x + (p + 1) * B + lane));
      c = hn::Add(c, hn::Load(d, x + (p + 2) * B + lane));
      e = hn::Add(e, hn::Load(d, x + (p + 3) * B + lane));
    }
    for (; p < pixels; ++p) a = hn::Add(a, hn::Load(d, x + p * B + lane));
    const auto mu = hn::Mul(hn::Add(hn::Add(a, b), hn::Add(c, e)), scale);
    a = b = c = e = hn::Zero(d);
    auto s = a, t = a;
    const auto take = [&](size_t at, auto& square, auto& plain) HWY_ATTR {
      const auto v = hn::Sub(hn::Load(d, x + at * B + lane), mu);
      square = hn::MulAdd(v, v, square);
      plain = hn::Add(plain, v);
    };
    for (p = 0; p + 4 <= pixels; p += 4) {
      if (lane == 0 && p < next)
        for (size_t line = 0; line < 4 * B; line += 16) hwy::Prefetch(x + (pixels + p) * B + line);
      take(p, a, s), take(p + 1, b, t), take(p + 2, c, s), take(p + 3, e, t);
    }
    for (; p < pixels; ++p) take(p, a, s);
    hn::Store(mu, d, about + lane);
    hn::Store(hn::Add(s, t), d, sum + lane);
    hn::Store(hn::Add(hn::Add(a, b), hn::Add(c, e)), d, squares + lane);
  }
}

template <int B>
void piece_moments(const float* x, size_t pixels, Moments* out) {
  constexpr size_t kTile = 64;  // pixels; 4 KiB at block 16
  alignas(64) float about[B], sum[B], squares[B];
  double mean[B] = {}, m2[B] = {};
  for (size_t from = 0; from < pixels; from += kTile) {
    const size_t count = std::min(kTile, pixels - from);
    tile_moments<B>(x + from * B, count, std::min(kTile, pixels - from - count), about, sum, squares);
    // Moments::merge for all lanes at once, as their counts are the same.
    const double n = static_cast<double>(count), each = 1 / n, total = static_cast<double>(from + count), share = n / total, between = static_cast<double>(from) * share;
    for (int lane = 0; lane < B; ++lane) {
      const double off = static_cast<double>(sum[lane]) * each, difference = static_cast<double>(about[lane]) + off - mean[lane];
      mean[lane] += difference * share;
      m2[lane] += std::max(static_cast<double>(squares[lane]) - n * off * off, 0.0) + difference * difference * between;
    }
  }
  for (int lane = 0; lane < B; ++lane) out[lane] = {static_cast<double>(pixels), mean[lane], m2[lane]};
}

void PieceMoments(int block, const float* x, size_t pixels, Moments* out) {
  if (block == 16)
    piece_moments<16>(x, pixels, out);
  else
    piece_moments<8>(x, pixels, out);
}

template <int B, Activation A>
void piece_activate(const float* x, float* y, size_t pixels, const float* mean, const float* scale, const float* shift) {
  const hn::CappedTag<float, B> d;
  for (size_t lane = 0; lane < B; lane += hn::Lanes(d)) {
    const auto mu = hn::LoadU(d, mean + lane), k = hn::LoadU(d, scale + lane), b = hn::LoadU(d, shift + lane);
    for (size_t i = lane; i < pixels * B; i += B) hn::Store(act<A>(d, hn::MulAdd(hn::Sub(hn::Load(d, x + i), mu), k, b)), d, y + i);
  }
}

void PieceActivate(Activation activation, int block, const float* x, float* y, size_t pixels, const float* mean, const float* scale, const float* shift) {
  dispatch_activation(activation, [&](auto a) {
    if (block == 16)
      piece_activate<16, a()>(x, y, pixels, mean, scale, shift);
    else
      piece_activate<8, a()>(x, y, pixels, mean, scale, shift);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(PieceMoments);
HWY_EXPORT(PieceActivate);

namespace {

// body(index among images, channel, moments of a piece), by image, then position: the order that a result is defined by.
template <class Body>
void for_piece_moments(int threads, const Tensor& x, const Body& body) {
  const TensorDesc& desc = x.desc;
  ensure(desc.block == 8 || desc.block == 16, "statistics of a blocked tensor");
  const Pieces pieces(desc);
  const size_t block = static_cast<size_t>(desc.block), channels = static_cast<size_t>(desc.shape.c);
  std::vector<Moments> partial(pieces.count() * block);
  cpu::parallel_for(threads, pieces.count(), [&](size_t i) {
    const Piece piece = pieces[i];
    HWY_DYNAMIC_DISPATCH(PieceMoments)(desc.block, x.data + piece.offset(desc), piece.pixels, &partial[i * block]);
  });
  for (size_t i = 0; i < pieces.count(); ++i) {
    const Piece piece = pieces[i];
    const size_t first = static_cast<size_t>(piece.channel);
    for (size_t lane = 0; lane < block && first + lane < channels; ++lane) body(piece.image, first + lane, partial[i * block + lane]);
  }
}

}  // namespace

void channel_moments(int threads, const Tensor& x, std::span<Moments> moments) {
  std::fill(moments.begin(), moments.end(), Moments{});
  for_piece_moments(threads, x, [&](size_t, size_t channel, const Moments& m) { moments[channel].merge(m); });
}

void image_moments(int threads, const Tensor& x, std::span<Moments> moments) {
  std::fill(moments.begin(), moments.end(), Moments{});
  const size_t channels = static_cast<size_t>(x.desc.shape.c);
  for_piece_moments(threads, x, [&](size_t image, size_t channel, const Moments& m) { moments[image * channels + channel].merge(m); });
}

void normalize_activate(int threads, const Tensor& x, const ChannelAffine& affine, Activation activation, const Tensor& y) {
  const TensorDesc& desc = x.desc;
  ensure((desc.block == 8 || desc.block == 16) && y.desc.count() == desc.count(), "normalise a blocked tensor");
  const Pieces pieces(desc);
  cpu::parallel_for_back(threads, pieces.count(), [&](size_t i) {
    const Piece piece = pieces[i];
    const size_t c = piece.image * affine.image_stride + static_cast<size_t>(piece.channel);
    HWY_DYNAMIC_DISPATCH(PieceActivate)
    (activation, desc.block, x.data + piece.offset(desc), y.data + piece.offset(y.desc), piece.pixels, affine.mean + c, affine.scale + c, affine.shift + c);
  });
  if (activate(activation, 0.0) != 0) clear_padding(threads, y);
}

void clear_padding(int threads, const Tensor& t) {
  const TensorDesc& desc = t.desc;
  const int used = desc.shape.c % desc.block;
  if (used == 0) return;
  cpu::parallel_for(threads, static_cast<size_t>(desc.shape.n), [&](size_t n) {
    float* last = t.data + n * desc.image_stride() + static_cast<size_t>(desc.channel_blocks() - 1) * desc.block_stride();
    for (size_t p = 0; p < desc.shape.plane(); ++p, last += desc.block) std::fill(last + used, last + desc.block, 0.0f);
  });
}

}  // namespace dn
#endif
