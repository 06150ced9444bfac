#include "nn/head_sweeps.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/head_sweeps.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nn/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// body(d, i) over [0, count): whole vectors, then lanes one by one with a one-lane tag, so that no load passes the end.
template <class Body>
HWY_INLINE void sweep(size_t count, const Body& body) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> one;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) body(d, i);
  for (; i < count; ++i) body(one, i);
}

void Activate(float* values, size_t count, bool logistic, float scale, float shift) {
  sweep(count, [&](auto d, size_t i) HWY_ATTR {
    auto v = hn::LoadU(d, values + i);
    if (logistic) v = sigmoid(d, v);
    hn::StoreU(hn::MulAdd(v, hn::Set(d, scale), hn::Set(d, shift)), d, values + i);
  });
}

void BestOverlap(const BoxPlanes& boxes, size_t count, std::span<const TruthBox> truths, float* best) {
  sweep(count, [&](auto d, size_t i) HWY_ATTR {
    const auto zero = hn::Zero(d);
    const auto left = hn::LoadU(d, boxes.left + i), right = hn::LoadU(d, boxes.right + i);
    const auto top = hn::LoadU(d, boxes.top + i), bottom = hn::LoadU(d, boxes.bottom + i);
    const auto area = hn::Mul(hn::Sub(right, left), hn::Sub(bottom, top));
    auto largest = zero;
    for (const TruthBox& truth : truths) {
      const Box& t = truth.box;
      const auto w = hn::Sub(hn::Min(right, hn::Set(d, t.x + t.w / 2)), hn::Max(left, hn::Set(d, t.x - t.w / 2)));
      const auto h = hn::Sub(hn::Min(bottom, hn::Set(d, t.y + t.h / 2)), hn::Max(top, hn::Set(d, t.y - t.h / 2)));
      const auto shared = hn::Mul(hn::Max(w, zero), hn::Max(h, zero));
      const auto overlap = hn::Div(shared, hn::Sub(hn::Add(area, hn::Set(d, t.w * t.h)), shared));
      largest = hn::IfThenElse(hn::Gt(overlap, largest), overlap, largest);  // false for NaN
    }
    hn::StoreU(largest, d, best + i);
  });
}

void SoftmaxPlanes(float* values, size_t classes, size_t plane) {
  sweep(plane, [&](auto d, size_t i) HWY_ATTR {
    auto top = hn::LoadU(d, values + i);
    for (size_t c = 1; c < classes; ++c) top = hn::Max(top, hn::LoadU(d, values + c * plane + i));
    auto sum = hn::Zero(d);
    for (size_t c = 0; c < classes; ++c) {
      const auto z = hn::Sub(hn::LoadU(d, values + c * plane + i), top);
      const auto e = keep_nan<decltype(d)>(z, bounded_exp(d, z));
      sum = hn::Add(sum, e);
      hn::StoreU(e, d, values + c * plane + i);
    }
    for (size_t c = 0; c < classes; ++c) hn::StoreU(hn::Div(hn::LoadU(d, values + c * plane + i), sum), d, values + c * plane + i);
  });
}

void TakeLarger(float* to, const float* from, size_t count) {
  sweep(count, [&](auto d, size_t i) HWY_ATTR { hn::StoreU(hn::Max(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i); });
}

}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(Activate);
HWY_EXPORT(BestOverlap);
HWY_EXPORT(SoftmaxPlanes);
HWY_EXPORT(TakeLarger);

void activate_values(float* values, size_t count, bool logistic, float scale, float shift) {
  HWY_DYNAMIC_DISPATCH(Activate)(values, count, logistic, scale, shift);
}
void best_overlap(const BoxPlanes& boxes, size_t count, std::span<const TruthBox> truths, float* best) {
  HWY_DYNAMIC_DISPATCH(BestOverlap)(boxes, count, truths, best);
}
void softmax_planes(float* values, size_t classes, size_t plane) { HWY_DYNAMIC_DISPATCH(SoftmaxPlanes)(values, classes, plane); }
void take_larger(float* to, const float* from, size_t count) { HWY_DYNAMIC_DISPATCH(TakeLarger)(to, from, count); }

}  // namespace dn
#endif
