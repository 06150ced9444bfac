#include "image/noise.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/noise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#ifndef DN_IMAGE_NOISE_ONCE_
#define DN_IMAGE_NOISE_ONCE_
namespace dn::noise_detail {

constexpr size_t kVector = 64;  // floats: at least one vector of any instruction set
}  // namespace dn::noise_detail
#endif

HWY_BEFORE_NAMESPACE();
namespace dn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V = hn::Vec<D>>
HWY_INLINE V mix_bits(D d, V x) {
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<16>(x)), hn::Set(d, detail::kFirstMixer));
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<15>(x)), hn::Set(d, detail::kSecondMixer));
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

// values[i] of the row that begins at number `first`; there is room for a whole vector beyond `count`.
void add_noise_row(float* values, size_t count, uint32_t first, float deviation, NoiseKeys keys) {
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const hn::RebindToSigned<decltype(d)> di;
  const auto unit = hn::Set(d, 1.0f / 16777216.0f), turn = hn::Set(d, 2 * std::numbers::pi_v<float> / 16777216.0f);
  const auto number = [&](auto bits) HWY_ATTR { return hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<8>(bits))); };
  for (size_t i = 0; i < count; i += hn::Lanes(d)) {
    const auto hash = mix_bits(du, hn::Xor(hn::Iota(du, first + static_cast<uint32_t>(i)), hn::Set(du, keys.a)));
    const auto other = mix_bits(du, hn::Add(hash, hn::Set(du, keys.b)));
    const auto u1 = hn::Mul(hn::Add(number(hash), hn::Set(d, 1.0f)), unit);  // (0, 1]
    const auto radius = hn::Sqrt(hn::Max(hn::Mul(hn::Log(d, u1), hn::Set(d, -2.0f)), hn::Zero(d)));
    const auto normal = hn::Mul(radius, hn::Cos(d, hn::Mul(number(other), turn)));
    const auto sum = hn::MulAdd(normal, hn::Set(d, deviation), hn::LoadU(d, values + i));
    hn::StoreU(hn::Min(hn::Max(sum, hn::Zero(d)), hn::Set(d, 1.0f)), d, values + i);
  }
}

}  // namespace dn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(add_noise_row);

namespace {

// body(row, number of the row's first value) for every row of every plane.
template <class Body>
void for_rows(const PlanarView& view, int channels, const Body& body) {
  uint32_t number = 0;
  for (int c = 0; c < channels; ++c)
    for (int y = 0; y < view.height; ++y, number += static_cast<uint32_t>(view.width))
      body(view.data + static_cast<size_t>(c) * view.plane_stride + static_cast<size_t>(y) * view.row_stride, number);
}

}  // namespace

void add_noise(const PlanarView& view, int channels, float deviation, uint64_t key) {
  const size_t width = static_cast<size_t>(view.width);
  std::vector<float> work(width + noise_detail::kVector);
  const auto add_noise_row = HWY_DYNAMIC_DISPATCH(add_noise_row);
  for_rows(view, channels, [&](float* row, uint32_t number) {
    std::copy_n(row, width, work.begin());
    add_noise_row(work.data(), width, number, deviation, noise_keys(key));
    std::copy_n(work.begin(), width, row);
  });
}

void add_noise_reference(const PlanarView& view, int channels, float deviation, uint64_t key) {
  const NoiseKeys keys = noise_keys(key);
  for_rows(view, channels, [&](float* row, uint32_t number) {
    for (uint32_t x = 0; x < static_cast<uint32_t>(view.width); ++x) {
      const NoiseHash hash = noise_hash(keys, number + x);
      const double u1 = ((hash.first >> 8) + 1.0) / 16777216, u2 = (hash.second >> 8) / 16777216.0;
      const double normal = std::sqrt(-2 * std::log(u1)) * std::cos(2 * std::numbers::pi * u2);
      row[x] = static_cast<float>(std::clamp(static_cast<double>(row[x]) + normal * static_cast<double>(deviation), 0.0, 1.0));
    }
  });
}

}  // namespace dn
#endif
