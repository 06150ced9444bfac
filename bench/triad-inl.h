// The triad a = b + s * c (McCalpin's STREAM) for Highway targets: what memory bandwidth is measured by. Included once per target.
#if defined(DN_BENCH_TRIAD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DN_BENCH_TRIAD_INL_H_
#undef DN_BENCH_TRIAD_INL_H_
#else
#define DN_BENCH_TRIAD_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dn::ceiling {
namespace HWY_NAMESPACE {

inline void triad(float* out, const float* b, const float* c, size_t count) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<float> d;
  const auto scale = hn::Set(d, 1.5f);
  for (size_t i = 0; i + hn::Lanes(d) <= count; i += hn::Lanes(d))
    hn::StoreU(hn::MulAdd(scale, hn::LoadU(d, c + i), hn::LoadU(d, b + i)), d, out + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace dn::ceiling
HWY_AFTER_NAMESPACE();

#endif
