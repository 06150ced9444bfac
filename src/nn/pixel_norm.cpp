// See nn/pixel_norm.h. A strip of pixels of one image is the unit of parallel work; a tile of it stays in the cache while its channel blocks, which
// lie a plane apart, are gone through.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/pixel_norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "device/cpu/parallel.h"
#include "nn/activation-inl.h"
#include "nn/pixel_norm.h"

#ifndef DN_NN_PIXEL_NORM_TILE
#define DN_NN_PIXEL_NORM_TILE
namespace dn {

constexpr size_t kTilePixels = 64;

// Up to kTilePixels pixels of one image: for each tensor its first channel block there, and how far the next one is.
struct PixelTile {
  size_t pixels, blocks;
  int last_lanes;                     // channels of the last block
  const float *x, *dy;
  float* out;
  size_t x_step, dy_step, out_step;   // floats
  float *mean, *inv_std;              // of these pixels
  const float *gamma, *beta;          // zero in the padding
  double *dgamma, *dbeta;             // [blocks * block], added to
};

}  // namespace dn
#endif

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {

// Two passes over a pixel's values, which the cache holds: first the mean, then the squares around it.
template <int B>
void tile_statistics(const PixelTile& t, double eps) {
  const hn::CappedTag<float, B> d;
  const size_t lanes = hn::Lanes(d);
  const double channels = static_cast<double>((t.blocks - 1) * B + static_cast<size_t>(t.last_lanes));
  for (size_t p = 0; p < t.pixels; ++p) {
    double sum = 0, squares = 0;
    for (size_t lane = 0; lane < B; lane += lanes) {   // the padding is zero
      auto s = hn::Zero(d);
      for (size_t k = 0; k < t.blocks; ++k) s = hn::Add(s, hn::Load(d, t.x + k * t.x_step + p * B + lane));
      sum += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, s)));
    }
    const double mean = sum / channels;
    const auto mu = hn::Set(d, static_cast<float>(mean));
    for (size_t lane = 0; lane < B; lane += lanes) {
      const size_t used = static_cast<size_t>(t.last_lanes) > lane ? static_cast<size_t>(t.last_lanes) - lane : 0;
      auto s = hn::Zero(d);
      for (size_t k = 0; k < t.blocks; ++k) {
        auto v = hn::Sub(hn::Load(d, t.x + k * t.x_step + p * B + lane), mu);
        if (k + 1 == t.blocks && used < lanes) v = hn::IfThenElseZero(hn::FirstN(d, used), v);
        s = hn::MulAdd(v, v, s);
      }
      squares += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, s)));
    }
    t.mean[p] = static_cast<float>(mean);
    t.inv_std[p] = static_cast<float>(1 / std::sqrt(squares / channels + eps));
  }
}

void TileStatistics(int block, const PixelTile& t, double eps) { block == 16 ? tile_statistics<16>(t, eps) : tile_statistics<8>(t, eps); }

template <int B, Activation A>
void tile_activate(const PixelTile& t) {
  const hn::CappedTag<float, B> d;
  for (size_t k = 0; k < t.blocks; ++k)
    for (size_t lane = 0; lane < B; lane += hn::Lanes(d)) {
      const auto gamma = hn::LoadU(d, t.gamma + k * B + lane), beta = hn::LoadU(d, t.beta + k * B + lane);
      for (size_t p = 0; p < t.pixels; ++p) {
        const auto xh = hn::Mul(hn::Sub(hn::Load(d, t.x + k * t.x_step + p * B + lane), hn::Set(d, t.mean[p])), hn::Set(d, t.inv_std[p]));
        hn::Store(act<A>(d, hn::MulAdd(xh, gamma, beta)), d, t.out + k * t.out_step + p * B + lane);
      }
    }
}

void TileActivate(Activation activation, int block, const PixelTile& t) {
  dispatch_activation(activation, [&](auto a) { block == 16 ? tile_activate<16, a()>(t) : tile_activate<8, a()>(t); });
}

// Padding lanes have gamma = 0, so they add nothing to the sums over channels; their dx is cleared by the caller.
template <int B, Activation A>
void tile_backward(const PixelTile& t) {
  const hn::CappedTag<float, B> d;
  const size_t lanes = hn::Lanes(d);
  const float per_channel = 1.0f / static_cast<float>((t.blocks - 1) * B + static_cast<size_t>(t.last_lanes));
  alignas(64) float sum[kTilePixels * B], sum_xh[kTilePixels * B], of_gamma[B], of_beta[B];   // lane by lane; summed up below
  std::fill_n(sum, t.pixels * B, 0.0f), std::fill_n(sum_xh, t.pixels * B, 0.0f);
  const auto at = [&](size_t k, size_t p, size_t lane, auto gamma, auto beta, auto& xh) HWY_ATTR {
    xh = hn::Mul(hn::Sub(hn::Load(d, t.x + k * t.x_step + p * B + lane), hn::Set(d, t.mean[p])), hn::Set(d, t.inv_std[p]));
    return hn::Mul(hn::Load(d, t.dy + k * t.dy_step + p * B + lane), slope<A>(d, hn::MulAdd(xh, gamma, beta)));
  };
  for (size_t k = 0; k < t.blocks; ++k)
    for (size_t lane = 0; lane < B; lane += lanes) {
      const auto gamma = hn::LoadU(d, t.gamma + k * B + lane), beta = hn::LoadU(d, t.beta + k * B + lane);
      auto g = hn::Zero(d), b = g, xh = g;
      for (size_t p = 0; p < t.pixels; ++p) {
        const auto dz = at(k, p, lane, gamma, beta, xh), along = hn::Mul(gamma, dz);
        g = hn::MulAdd(dz, xh, g), b = hn::Add(b, dz);
        hn::Store(hn::Add(hn::Load(d, sum + p * B + lane), along), d, sum + p * B + lane);
        hn::Store(hn::MulAdd(along, xh, hn::Load(d, sum_xh + p * B + lane)), d, sum_xh + p * B + lane);
      }
      hn::Store(g, d, of_gamma), hn::Store(b, d, of_beta);
      for (size_t l = 0; l < lanes; ++l) t.dgamma[k * B + lane + l] += static_cast<double>(of_gamma[l]), t.dbeta[k * B + lane + l] += static_cast<double>(of_beta[l]);
    }
  for (size_t p = 0; p < t.pixels; ++p)
    for (int lane = 1; lane < B; ++lane) sum[p * B] += sum[p * B + static_cast<size_t>(lane)], sum_xh[p * B] += sum_xh[p * B + static_cast<size_t>(lane)];
  for (size_t k = 0; k < t.blocks; ++k)
    for (size_t lane = 0; lane < B; lane += lanes) {
      const auto gamma = hn::LoadU(d, t.gamma + k * B + lane), beta = hn::LoadU(d, t.beta + k * B + lane);
      auto xh = hn::Zero(d);
      for (size_t p = 0; p < t.pixels; ++p) {
        const auto along = hn::Mul(gamma, at(k, p, lane, gamma, beta, xh));
        const auto mean = hn::MulAdd(xh, hn::Set(d, sum_xh[p * B] * per_channel), hn::Set(d, sum[p * B] * per_channel));
        hn::Store(hn::Mul(hn::Set(d, t.inv_std[p]), hn::Sub(along, mean)), d, t.out + k * t.out_step + p * B + lane);
      }
    }
}

void TileBackward(Activation activation, int block, const PixelTile& t) {
  dispatch_activation(activation, [&](auto a) { block == 16 ? tile_backward<16, a()>(t) : tile_backward<8, a()>(t); });
}

}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(TileStatistics);
HWY_EXPORT(TileActivate);
HWY_EXPORT(TileBackward);

namespace {

constexpr size_t kStripPixels = 16 * kTilePixels;

// body(tile, index of its strip among all): the tiles of a strip in order, strips in parallel. The cut depends on the shape only.
template <class Body>
void for_tiles(int threads, const TensorDesc& desc, const Body& body) {
  const size_t plane = desc.shape.plane(), strips = (plane + kStripPixels - 1) / kStripPixels, block = static_cast<size_t>(desc.block);
  cpu::parallel_for(threads, static_cast<size_t>(desc.shape.n) * strips, [&](size_t i) {
    const size_t image = i / strips, from = i % strips * kStripPixels, to = std::min(from + kStripPixels, plane);
    for (size_t first = from; first < to; first += kTilePixels) {
      PixelTile t{};
      t.pixels = std::min(kTilePixels, to - first);
      t.blocks = static_cast<size_t>(desc.channel_blocks());
      t.last_lanes = desc.shape.c - (desc.channel_blocks() - 1) * desc.block;
      body(t, image, first, first * block, i);
    }
  });
}

}  // namespace

void PixelNorm::collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) {
  if (pass.again) return;
  std::byte* const vectors = saved + pixels_.bytes(2);
  std::fill_n(vectors, vectors_.bytes(2), std::byte{0});
  std::ranges::copy(params.gamma.value, vectors_.at(vectors, 0));
  std::ranges::copy(params.beta.value, vectors_.at(vectors, 1));
  for_tiles(threads_, desc_, [&](PixelTile& t, size_t image, size_t first, size_t offset, size_t) {
    t.x = x.data + image * x.desc.image_stride() + offset, t.x_step = x.desc.block_stride();
    t.mean = pixels_.at(saved, 0) + image * desc_.shape.plane() + first;
    t.inv_std = pixels_.at(saved, 1) + image * desc_.shape.plane() + first;
    HWY_DYNAMIC_DISPATCH(TileStatistics)(desc_.block, t, spec_.eps);
  });
}

void PixelNorm::apply(const Tensor& x, const NormParams&, const std::byte* saved, const Tensor& y) const {
  const std::byte* const vectors = saved + pixels_.bytes(2);
  for_tiles(threads_, desc_, [&](PixelTile& t, size_t image, size_t first, size_t offset, size_t) {
    t.x = x.data + image * x.desc.image_stride() + offset, t.x_step = x.desc.block_stride();
    t.out = y.data + image * y.desc.image_stride() + offset, t.out_step = y.desc.block_stride();
    t.mean = const_cast<float*>(pixels_.at(saved, 0)) + image * desc_.shape.plane() + first;
    t.inv_std = const_cast<float*>(pixels_.at(saved, 1)) + image * desc_.shape.plane() + first;
    t.gamma = vectors_.at(vectors, 0), t.beta = vectors_.at(vectors, 1);
    HWY_DYNAMIC_DISPATCH(TileActivate)(activation_, desc_.block, t);
  });
  if (activate(activation_, 0.0) != 0) clear_padding(threads_, y);
}

void PixelNorm::backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte*, const Pass& pass, const Tensor& dx) {
  const std::byte* const vectors = saved + pixels_.bytes(2);
  const size_t channels = static_cast<size_t>(desc_.shape.c), padded = static_cast<size_t>(desc_.padded_channels()), images = static_cast<size_t>(desc_.shape.n);
  const size_t strips = (desc_.shape.plane() + kStripPixels - 1) / kStripPixels;
  std::vector<double> partial(images * strips * 2 * padded, 0.0);
  for_tiles(threads_, desc_, [&](PixelTile& t, size_t image, size_t first, size_t offset, size_t strip) {
    t.x = x.data + image * x.desc.image_stride() + offset, t.x_step = x.desc.block_stride();
    t.dy = dy.data + image * dy.desc.image_stride() + offset, t.dy_step = dy.desc.block_stride();
    t.out = dx.data + image * dx.desc.image_stride() + offset, t.out_step = dx.desc.block_stride();
    t.mean = const_cast<float*>(pixels_.at(saved, 0)) + image * desc_.shape.plane() + first;
    t.inv_std = const_cast<float*>(pixels_.at(saved, 1)) + image * desc_.shape.plane() + first;
    t.gamma = vectors_.at(vectors, 0), t.beta = vectors_.at(vectors, 1);
    t.dgamma = &partial[strip * 2 * padded], t.dbeta = t.dgamma + padded;
    HWY_DYNAMIC_DISPATCH(TileBackward)(activation_, desc_.block, t);
  });
  clear_padding(threads_, dx);   // the mean over the channels went there too
  if (pass.param_grads == Write::none) return;
  std::vector<double> of_gamma(images * channels, 0.0), of_beta(of_gamma);
  for (size_t i = 0; i < images * strips && spec_.trains_affine(); ++i)
    for (size_t c = 0; c < channels; ++c) {
      of_gamma[i / strips * channels + c] += partial[i * 2 * padded + c];
      of_beta[i / strips * channels + c] += partial[i * 2 * padded + padded + c];
    }
  deliver_images(params.gamma.grad, of_gamma, pass.param_grads);
  deliver_images(params.beta.grad, of_beta, pass.param_grads);
}

}  // namespace dn
#endif
