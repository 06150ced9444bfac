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
  GradientRun rest;
  for (; i < count; ++i) rest.take(g[i]);
  result.squares += static_cast<double>(rest.squares);
  result.largest = rest.largest > result.largest ? rest.largest : result.largest;
  result.finite = result.finite && rest.finite;
  return result;
}

void Step(const SgdStep& step, const float* g, float* v, float* w, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float bound = step.clip > 0 ? step.clip : kLargestFloat;
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
  for (; i < count; ++i) step(g[i], v[i], w[i]);
}

void Adam(const AdamStep& step, const float* g, float* m, float* s, float* w, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float bound = step.clip > 0 ? step.clip : kLargestFloat;
  const auto beta1 = hn::Set(d, step.beta1), beta2 = hn::Set(d, step.beta2), rest1 = hn::Set(d, step.rest1), rest2 = hn::Set(d, step.rest2);
  const auto decay = hn::Set(d, step.decay), rate = hn::Set(d, step.rate), correction = hn::Set(d, step.correction), eps = hn::Set(d, step.eps);
  const auto low = hn::Set(d, -bound), high = hn::Set(d, bound), largest = hn::Set(d, kLargestFloat);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto weight = hn::LoadU(d, w + i);
    const auto gradient = hn::MulAdd(decay, weight, hn::Min(hn::Max(hn::LoadU(d, g + i), low), high));
    const auto first = hn::MulAdd(beta1, hn::LoadU(d, m + i), hn::Mul(rest1, gradient));
    const auto second = hn::Min(hn::MulAdd(beta2, hn::LoadU(d, s + i), hn::Mul(hn::Mul(rest2, gradient), gradient)), largest);
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, s + i);
    const auto size = hn::Add(hn::Sqrt(hn::Mul(correction, second)), eps);
    hn::StoreU(hn::NegMulAdd(rate, hn::Div(first, size), weight), d, w + i);
  }
  for (; i < count; ++i) step(g[i], m[i], s[i], w[i]);
}

void Average(double keep, const float* w, float* average, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const float share = static_cast<float>(1 - keep);
  const auto towards = hn::Set(d, share);
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto old = hn::LoadU(d, average + i);
    hn::StoreU(hn::MulAdd(towards, hn::Sub(hn::LoadU(d, w + i), old), old), d, average + i);
  }
  for (; i < count; ++i) average_entry(share, w[i], average[i]);
}

double Dot(const float* a, const float* b, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  double result = 0;
  size_t i = 0;
  while (i + lanes <= count) {
    const size_t end = count - i > kRun ? i + kRun : count;
    auto sum = hn::Zero(d);
    for (; i + lanes <= end; i += lanes) sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
    result += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
  }
  for (; i < count; ++i) result += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return result;
}

}  // namespace dn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(Scan);
HWY_EXPORT(Step);
HWY_EXPORT(Adam);
HWY_EXPORT(Average);
HWY_EXPORT(Dot);

GradientScan scan_gradient(const float* g, size_t count) { return HWY_DYNAMIC_DISPATCH(Scan)(g, count); }

void sgd_step(const SgdStep& step, const float* g, float* v, float* w, size_t count) { HWY_DYNAMIC_DISPATCH(Step)(step, g, v, w, count); }

void adam_step(const AdamStep& step, const float* g, float* m, float* s, float* w, size_t count) {
  HWY_DYNAMIC_DISPATCH(Adam)(step, g, m, s, w, count);
}

void average_step(double keep, const float* w, float* average, size_t count) { HWY_DYNAMIC_DISPATCH(Average)(keep, w, average, count); }

double dot(const float* a, const float* b, size_t count) { return HWY_DYNAMIC_DISPATCH(Dot)(a, b, count); }

}  // namespace dn
#endif
