#include "train/sweeps.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "train/sweeps.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Squares are summed in float over one run and in double over runs, so that millions of entries do not swallow each other.
constexpr size_t kRun = 1024;

GradientScan Scan(const float* g, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  GradientScan result;
  auto largest = hn::Zero(d);
  auto broken = hn::Zero(d);  // stays 0 while everything is finite: x - x is NaN for NaN and infinity
  size_t i = 0;
  while (i + lanes <= count) {
    const size_t end = count - i > kRun ? i + kRun : count;
    auto squares = hn::Zero(d);
    for (; i + lanes <= end; i += lanes) {
      const auto x = hn::LoadU(d, g + i);
      const auto finite = hn::IfThenElseZero(hn::IsFinite(x), x);
      broken = hn::Or(broken, hn::Sub(x, x));
      squares = hn::MulAdd(finite, finite, squares);
      largest = hn::Max(largest, hn::Abs(finite));
    }
    result.squares += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, squares)));
  }
  result.largest = hn::GetLane(hn::MaxOfLanes(d, largest));
  result.finite = hn::AllTrue(d, hn::Eq(broken, hn::Zero(d)));
  for (; i < count; ++i) {
    const float x = g[i];
    if (!(x - x == 0)) {
      result.finite = false;
      continue;
    }
    result.squares += static_cast<double>(x) * static_cast<double>(x);
    const float size = x < 0 ? -x : x;
    if (size > result.largest) result.largest = size;
  }
  return result;
}

void Step(const SgdStep& step, const float* g, float* v, float* w, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float bound = step.clip > 0 ? step.clip : 3.402823466e38f;
  const auto momentum = hn::Set(d, step.momentum), decay = hn::Set(d, step.decay), rate = hn::Set(d, step.rate);
  const auto low = hn::Set(d, -bound), high = hn::Set(d, bound);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto weight = hn::LoadU(d, w + i);
    const auto gradient = hn::Min(hn::Max(hn::LoadU(d, g + i), low), high);
    const auto velocity = hn::MulAdd(momentum, hn::LoadU(d, v + i), hn::MulAdd(decay, weight, gradient));
    hn::StoreU(velocity, d, v + i);
    hn::StoreU(hn::NegMulAdd(rate, velocity, weight), d, w + i);
  }
  for (; i < count; ++i) {
    const float gradient = g[i] < -bound ? -bound : g[i] > bound ? bound : g[i];
    v[i] = step.momentum * v[i] + (gradient + step.decay * w[i]);
    w[i] -= step.rate * v[i];
  }
}

}  // namespace dn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(Scan);
HWY_EXPORT(Step);

GradientScan scan_gradient(const float* g, size_t count) { return HWY_DYNAMIC_DISPATCH(Scan)(g, count); }

void sgd_step(const SgdStep& step, const float* g, float* v, float* w, size_t count) { HWY_DYNAMIC_DISPATCH(Step)(step, g, v, w, count); }

}  // namespace dn
#endif
