// The vector form of colour.h, compiled once per instruction set by the files that include it (Highway's foreach_target); no include guard of
// the usual kind for that reason. Values are 0..`full` on entry and on leaving.
#if defined(DN_IMAGE_COLOUR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DN_IMAGE_COLOUR_INL_H_
#undef DN_IMAGE_COLOUR_INL_H_
#else
#define DN_IMAGE_COLOUR_INL_H_
#endif

#include <hwy/highway.h>

#include "image/colour.h"

HWY_BEFORE_NAMESPACE();
namespace dn::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

template <class V>
struct Rgb {
  V r, g, b;
};

// channel(n) of colour.h; `k` is n + h' within [0, 12).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V hue_channel(D d, V k, V value, V chroma) {
  const V six = hn::Set(d, 6.0f), zero = hn::Zero(d);
  k = hn::Sub(k, hn::IfThenElseZero(hn::Ge(k, six), six));
  const V part = hn::Min(hn::Max(hn::Min(k, hn::Sub(hn::Set(d, 4.0f), k)), zero), hn::Set(d, 1.0f));
  return hn::NegMulAdd(chroma, part, value);
}

// `shift` is in sixths of the circle, within [0, 6).
template <class D, class V = hn::Vec<D>>
HWY_INLINE Rgb<V> distort(D d, Rgb<V> in, V shift, V saturation, V exposure, V full) {
  const V zero = hn::Zero(d), six = hn::Set(d, 6.0f), one = hn::Set(d, 1.0f);
  const V value = hn::Max(in.r, hn::Max(in.g, in.b));
  const V range = hn::Sub(value, hn::Min(in.r, hn::Min(in.g, in.b)));
  const V safe = hn::IfThenElse(hn::Gt(range, zero), range, one);
  const V inverse = hn::Div(one, safe);
  // Which channel is the largest decides the sixth: red 0 + (g-b)/range, green 2 + (b-r)/range, blue 4 + (r-g)/range.
  const auto red = hn::Eq(value, in.r);
  const auto green = hn::Eq(value, in.g);
  const V difference = hn::IfThenElse(red, hn::Sub(in.g, in.b), hn::IfThenElse(green, hn::Sub(in.b, in.r), hn::Sub(in.r, in.g)));
  const V base = hn::IfThenElse(red, zero, hn::IfThenElse(green, hn::Set(d, 2.0f), hn::Set(d, 4.0f)));
  V hue = hn::Add(hn::MulAdd(difference, inverse, base), shift);
  hue = hn::Add(hue, hn::IfThenElseZero(hn::Lt(hue, zero), six));
  hue = hn::Sub(hue, hn::IfThenElseZero(hn::Ge(hue, six), six));
  const V brighter = hn::Min(hn::Mul(value, exposure), full);
  const V strength = hn::Min(hn::Div(hn::Mul(range, saturation), hn::Max(value, hn::Set(d, 1e-6f))), one);
  const V chroma = hn::Mul(brighter, strength);
  return {hue_channel(d, hn::Add(hue, hn::Set(d, 5.0f)), brighter, chroma), hue_channel(d, hn::Add(hue, hn::Set(d, 3.0f)), brighter, chroma),
          hue_channel(d, hn::Add(hue, one), brighter, chroma)};
}

}  // namespace dn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target guard
