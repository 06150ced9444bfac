// See nn/filter_response_norm.h.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/filter_response_norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "device/cpu/parallel.h"
#include "nn/activation-inl.h"
#include "nn/filter_response_norm.h"
#include "nn/normalize_pieces.h"

#ifndef DN_NN_FILTER_RESPONSE_PIECE
#define DN_NN_FILTER_RESPONSE_PIECE
namespace dn {

// Pixels of one image's channel block, and the vectors of the block.
struct ResponsePiece {
  const float *x, *dy;
  float* out;
  size_t pixels;
  const float *inv, *gamma, *beta, *threshold, *slope;   // slope: of dx over x
  double *dz, *dz_x, *below;                             // sums, per lane: above the threshold dz and dz x; below it the threshold's gradient
};

}  // namespace dn
#endif

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {

template <int B, Activation A>
void response_activate(const ResponsePiece& t) {
  const hn::CappedTag<float, B> d;
  for (size_t lane = 0; lane < B; lane += hn::Lanes(d)) {
    const auto k = hn::Mul(hn::LoadU(d, t.inv + lane), hn::LoadU(d, t.gamma + lane)), b = hn::LoadU(d, t.beta + lane), least = hn::LoadU(d, t.threshold + lane);
    for (size_t i = lane; i < t.pixels * B; i += B) {
      const auto z = hn::MulAdd(hn::Load(d, t.x + i), k, b);
      hn::Store(act<A>(d, hn::IfThenElse(hn::Le(z, least), least, z)), d, t.out + i);   // NaN stays
    }
  }
}

void ResponseActivate(Activation activation, int block, const ResponsePiece& t) {
  dispatch_activation(activation, [&](auto a) { block == 16 ? response_activate<16, a()>(t) : response_activate<8, a()>(t); });
}

template <int B, Activation A>
void response_sums(const ResponsePiece& t) {
  constexpr size_t kTile = 256;   // pixels summed in float
  const hn::CappedTag<float, B> d;
  alignas(64) float tile[B];
  const auto add = [&](auto sum, double* to) HWY_ATTR {
    hn::Store(sum, d, tile);
    for (size_t l = 0; l < hn::Lanes(d); ++l) to[l] += static_cast<double>(tile[l]);
  };
  for (size_t lane = 0; lane < B; lane += hn::Lanes(d)) {
    const auto k = hn::Mul(hn::LoadU(d, t.inv + lane), hn::LoadU(d, t.gamma + lane)), b = hn::LoadU(d, t.beta + lane), least = hn::LoadU(d, t.threshold + lane);
    for (size_t from = 0; from < t.pixels; from += kTile) {
      auto dz = hn::Zero(d), dz_x = dz, below = dz;
      for (size_t i = from * B + lane; i < std::min(from + kTile, t.pixels) * B; i += B) {
        const auto x = hn::Load(d, t.x + i), z = hn::MulAdd(x, k, b);
        const auto under = hn::Le(z, least);
        const auto g = hn::Mul(hn::Load(d, t.dy + i), slope<A>(d, hn::IfThenElse(under, least, z)));
        const auto above = hn::IfThenZeroElse(under, g);
        dz = hn::Add(dz, above), dz_x = hn::MulAdd(above, x, dz_x), below = hn::Add(below, hn::IfThenElseZero(under, g));
      }
      add(dz, t.dz + lane), add(dz_x, t.dz_x + lane), add(below, t.below + lane);
    }
  }
}

void ResponseSums(Activation activation, int block, const ResponsePiece& t) {
  dispatch_activation(activation, [&](auto a) { block == 16 ? response_sums<16, a()>(t) : response_sums<8, a()>(t); });
}

template <int B, Activation A>
void response_backward(const ResponsePiece& t) {
  const hn::CappedTag<float, B> d;
  for (size_t lane = 0; lane < B; lane += hn::Lanes(d)) {
    const auto k = hn::Mul(hn::LoadU(d, t.inv + lane), hn::LoadU(d, t.gamma + lane)), b = hn::LoadU(d, t.beta + lane);
    const auto least = hn::LoadU(d, t.threshold + lane), per_x = hn::LoadU(d, t.slope + lane);
    for (size_t i = lane; i < t.pixels * B; i += B) {
      const auto x = hn::Load(d, t.x + i), z = hn::MulAdd(x, k, b);
      const auto under = hn::Le(z, least);
      const auto g = hn::IfThenZeroElse(under, hn::Mul(hn::Load(d, t.dy + i), slope<A>(d, z)));
      hn::Store(hn::MulAdd(k, g, hn::Mul(per_x, x)), d, t.out + i);
    }
  }
}

void ResponseBackward(Activation activation, int block, const ResponsePiece& t) {
  dispatch_activation(activation, [&](auto a) { block == 16 ? response_backward<16, a()>(t) : response_backward<8, a()>(t); });
}

}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(ResponseActivate);
HWY_EXPORT(ResponseSums);
HWY_EXPORT(ResponseBackward);

void FilterResponseNorm::collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) {
  if (pass.again) return;
  const size_t channels = static_cast<size_t>(desc_.shape.c), images = static_cast<size_t>(desc_.shape.n);
  std::vector<Moments> moments(images * channels);
  image_moments(threads_, x, moments);
  std::fill_n(saved, saved_bytes(), std::byte{0});
  for (size_t n = 0; n < images; ++n)
    for (size_t c = 0; c < channels; ++c) {
      const Moments& m = moments[n * channels + c];
      vectors_.at(saved, 0)[n * row() + c] = static_cast<float>(inverse_deviation(spec_, m.variance() + m.mean * m.mean));
    }
  std::byte* const shared = saved + vectors_.bytes(1);
  std::ranges::copy(params.gamma.value, shared_.at(shared, 0));
  std::ranges::copy(params.beta.value, shared_.at(shared, 1));
  std::ranges::copy(params.threshold.value, shared_.at(shared, 2));
}

namespace {

ResponsePiece piece_of(const Piece& p, const Tensor& x, const float* inv, const Vectors& layout, const std::byte* shared, size_t row) {
  const size_t c = static_cast<size_t>(p.channel);
  ResponsePiece t{};
  t.x = x.data + p.offset(x.desc), t.pixels = p.pixels;
  t.inv = inv + p.image * row + c;
  t.gamma = layout.at(shared, 0) + c, t.beta = layout.at(shared, 1) + c, t.threshold = layout.at(shared, 2) + c;
  return t;
}

}  // namespace

void FilterResponseNorm::apply(const Tensor& x, const NormParams&, const std::byte* saved, const Tensor& y) const {
  const Pieces pieces(desc_);
  const std::byte* const shared = saved + vectors_.bytes(1);
  cpu::parallel_for_back(threads_, pieces.count(), [&](size_t i) {
    ResponsePiece t = piece_of(pieces[i], x, vectors_.at(saved, 0), shared_, shared, row());
    t.out = y.data + pieces[i].offset(y.desc);
    HWY_DYNAMIC_DISPATCH(ResponseActivate)(activation_, desc_.block, t);
  });
  if (activate(activation_, 0.0) != 0) clear_padding(threads_, y);
}

void FilterResponseNorm::backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                                  const Tensor& dx) {
  const Pieces pieces(desc_);
  const std::byte* const shared = saved + vectors_.bytes(1);
  const size_t block = static_cast<size_t>(desc_.block), channels = static_cast<size_t>(desc_.shape.c), images = static_cast<size_t>(desc_.shape.n);
  std::vector<double> partial(pieces.count() * 3 * block, 0.0);
  cpu::parallel_for(threads_, pieces.count(), [&](size_t i) {
    ResponsePiece t = piece_of(pieces[i], x, vectors_.at(saved, 0), shared_, shared, row());
    t.dy = dy.data + pieces[i].offset(dy.desc);
    t.dz = &partial[i * 3 * block], t.dz_x = t.dz + block, t.below = t.dz_x + block;
    HWY_DYNAMIC_DISPATCH(ResponseSums)(activation_, desc_.block, t);
  });
  std::vector<double> of_gamma(images * channels, 0.0), of_beta(of_gamma), of_threshold(of_gamma);
  for (size_t i = 0; i < pieces.count(); ++i)
    for (size_t lane = 0, c = static_cast<size_t>(pieces[i].channel); lane < block && c < channels; ++lane, ++c) {
      const size_t at = pieces[i].image * channels + c;
      const double* const sums = &partial[i * 3 * block + lane];
      of_beta[at] += sums[0], of_gamma[at] += sums[block], of_threshold[at] += sums[2 * block];
    }
  float* const per_x = vectors_.at(scratch, 0);
  std::fill_n(scratch, backward_scratch_bytes(), std::byte{0});
  for (size_t n = 0; n < images; ++n)
    for (size_t c = 0; c < channels; ++c) {
      const double s = vectors_.at(saved, 0)[n * row() + c], gamma = params.gamma.value[c];
      double& sum = of_gamma[n * channels + c];
      per_x[n * row() + c] = static_cast<float>(-gamma * s * s * s * sum / static_cast<double>(desc_.shape.plane()));
      sum *= s;
    }
  cpu::parallel_for_back(threads_, pieces.count(), [&](size_t i) {
    ResponsePiece t = piece_of(pieces[i], x, vectors_.at(saved, 0), shared_, shared, row());
    t.dy = dy.data + pieces[i].offset(dy.desc), t.out = dx.data + pieces[i].offset(dx.desc);
    t.slope = per_x + pieces[i].image * row() + pieces[i].channel;
    HWY_DYNAMIC_DISPATCH(ResponseBackward)(activation_, desc_.block, t);
  });
  if (pass.param_grads == Write::none) return;
  for (auto* values : {&of_gamma, &of_beta, &of_threshold})
    if (!spec_.trains_affine()) std::ranges::fill(*values, 0);
  deliver_images(params.gamma.grad, of_gamma, pass.param_grads);
  deliver_images(params.beta.grad, of_beta, pass.param_grads);
  deliver_images(params.threshold.grad, of_threshold, pass.param_grads);
}

}  // namespace dn
#endif
