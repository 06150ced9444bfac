#include "nn/cuda/normalize.h"

namespace dn::cuda {
namespace {

// Of a pixel's channel in the vectors.
DN_HD size_t vector_place(const Affine& affine, size_t pixel, size_t plane, int channel) {
  return static_cast<size_t>(channel) + (affine.image_stride > 0 ? pixel / plane * affine.image_stride : 0);
}

template <class A>
struct ApplyBody {
  A activation;
  View x, residual, y;
  Affine affine;
  size_t plane;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = eight_place(i, x.groups());
    const size_t at = vector_place(affine, pixel, plane, channel);
    const Eight mean = eight_of(affine.mean, at), scale = eight_of(affine.scale, at), shift = eight_of(affine.shift, at);
    Eight v = x.get_eight(x.at(pixel, channel));
    for (int k = 0; k < kEight; ++k) v.v[k] = channel + k < x.c ? activation.value((v.v[k] - mean.v[k]) * scale.v[k] + shift.v[k]) : 0.0f;
    if (residual.data) {   // its padding is zero, too
      const Eight r = residual.get_eight(residual.at(pixel, channel));
      for (int k = 0; k < kEight; ++k) v.v[k] += r.v[k];
    }
    y.set_eight(y.at(pixel, channel), v);
  }
};

template <class A>
struct BackwardBody {
  A activation;
  View x, dy, dx;
  Affine affine;
  GradientPart gradient;
  size_t plane;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = eight_place(i, x.groups());
    const size_t at = vector_place(affine, pixel, plane, channel);
    const Eight mean = eight_of(affine.mean, at), scale = eight_of(affine.scale, at), shift = eight_of(affine.shift, at);
    const Eight v = x.get_eight(x.at(pixel, channel));
    Eight g = dy.get_eight(dy.at(pixel, channel)), offset{}, slope{};
    if (gradient.offset) offset = eight_of(gradient.offset, at);
    if (gradient.slope) slope = eight_of(gradient.slope, at);
    for (int k = 0; k < kEight; ++k) {
      const float d = v.v[k] - mean.v[k], dz = g.v[k] * activation.slope(d * scale.v[k] + shift.v[k]);
      g.v[k] = scale.v[k] * dz + offset.v[k] + slope.v[k] * d;
    }
    dx.set_eight(dx.at(pixel, channel), g);
  }
};

}  // namespace

void normalize_activate(Stream& stream, const Tensor& x, const Affine& affine, Activation activation, const Tensor& residual, const Tensor& y) {
  with_activation(activation, [&](auto a) {
    const View v = view(x);
    for_each(stream, v.eights(), ApplyBody<decltype(a)>{a, v, residual ? view(residual) : View{}, view(y), affine, x.desc.shape.plane()});
  });
}

void normalize_activate_backward(Stream& stream, const Tensor& x, const Tensor& dy, const Affine& affine, Activation activation, const GradientPart& gradient,
                                 const Tensor& dx) {
  with_activation(activation, [&](auto a) {
    const View v = view(x);
    for_each(stream, v.eights(), BackwardBody<decltype(a)>{a, v, view(dy), view(dx), affine, gradient, x.desc.shape.plane()});
  });
}

}  // namespace dn::cuda
