// 16-bit storage: what every pattern means, that it comes back, and that floats are rounded to the nearest, ties to even, by another computation in
// double; NaN, infinities, subnormals.
#include "tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace dn {
namespace {

struct Form {
  const char* name;
  int exponent_bits, mantissa_bits;
  float (*from)(uint16_t);
  uint16_t (*to)(float);
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  int least() const { return 1 - bias(); }  // exponent of the smallest normal number
  double largest() const { return std::ldexp(2 - std::ldexp(1.0, -mantissa_bits), bias()); }
  uint16_t infinity() const { return static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits); }
};

constexpr Form kForms[] = {{"bf16", 8, 7, from_bf16, to_bf16}, {"f16", 5, 10, from_f16, to_f16}};

// What a pattern means, by the definition of such formats.
double meaning(const Form& form, uint16_t bits) {
  const int mantissa = bits & ((1 << form.mantissa_bits) - 1), exponent = bits >> form.mantissa_bits & ((1 << form.exponent_bits) - 1);
  double size = std::ldexp(mantissa, form.least() - form.mantissa_bits);
  if (exponent == (1 << form.exponent_bits) - 1)
    size = mantissa ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity();
  else if (exponent > 0)
    size = std::ldexp((1 << form.mantissa_bits) + mantissa, exponent - form.bias() - form.mantissa_bits);
  return bits & 0x8000 ? -size : size;
}

// To the nearest multiple of the step that numbers of this size have; nearbyint takes ties to even.
double rounded(const Form& form, double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double step = std::ldexp(1.0, std::max(std::ilogb(value), form.least()) - form.mantissa_bits);
  const double nearest = std::nearbyint(value / step) * step;
  return std::abs(nearest) > form.largest() ? std::copysign(std::numeric_limits<double>::infinity(), value) : nearest;
}

void expect_rounds(const Form& form, float value) {
  const double expected = rounded(form, static_cast<double>(value)), got = meaning(form, form.to(value));
  ASSERT_EQ(got, expected) << form.name << " of " << value;
  ASSERT_EQ(std::signbit(got), std::signbit(value)) << form.name << " of " << value;
}

TEST(half, every_pattern_means_its_number_and_comes_back) {
  for (const Form& form : kForms)
    for (unsigned pattern = 0; pattern < 65536; ++pattern) {
      const auto bits = static_cast<uint16_t>(pattern);
      const double expected = meaning(form, bits);
      const float value = form.from(bits);
      ASSERT_EQ(std::isnan(value), std::isnan(expected)) << form.name << " " << pattern;
      if (std::isnan(value)) {
        ASSERT_TRUE(std::isnan(form.from(form.to(value)))) << form.name << " " << pattern;
        continue;
      }
      ASSERT_EQ(static_cast<double>(value), expected) << form.name << " " << pattern;
      ASSERT_EQ(form.to(value), bits) << form.name << " " << pattern;  // -0 too
    }
}

// Half way between neighbours, and the floats on both sides of it.
TEST(half, ties_go_to_even) {
  for (const Form& form : kForms)
    for (uint16_t bits = 0; bits + 1 < form.infinity(); ++bits) {
      const double low = meaning(form, bits), high = meaning(form, static_cast<uint16_t>(bits + 1));
      const float middle = static_cast<float>(low + (high - low) / 2);
      ASSERT_EQ(static_cast<double>(middle), low + (high - low) / 2);  // exact in a float
      ASSERT_EQ(form.to(middle), bits % 2 == 0 ? bits : bits + 1) << form.name << " " << bits;
      ASSERT_EQ(form.to(std::nextafter(middle, 0.0f)), bits) << form.name << " " << bits;
      ASSERT_EQ(form.to(std::nextafter(middle, std::numeric_limits<float>::infinity())), bits + 1) << form.name << " " << bits;
      expect_rounds(form, middle), expect_rounds(form, -middle);
    }
}

TEST(half, any_float_is_rounded_to_the_nearest) {
  Rng rng(1, RandomUse::test);
  for (int i = 0; i < 1000000; ++i) {
    const float value = detail::float_of(rng.next());
    for (const Form& form : kForms)
      if (std::isnan(value))
        ASSERT_TRUE(std::isnan(form.from(form.to(value)))) << form.name;
      else
        ASSERT_NO_FATAL_FAILURE(expect_rounds(form, value));
  }
}

TEST(half, the_ends_of_the_range) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Form& form : kForms) {
    EXPECT_EQ(form.to(kInfinity), form.infinity()) << form.name;
    EXPECT_EQ(form.to(-kInfinity), form.infinity() | 0x8000) << form.name;
    EXPECT_EQ(form.from(form.infinity()), kInfinity) << form.name;
    EXPECT_EQ(form.to(0.0f), 0) << form.name;
    EXPECT_EQ(form.to(-0.0f), 0x8000) << form.name;
  }
  EXPECT_EQ(from_f16(to_f16(65504.0f)), 65504.0f);
  EXPECT_EQ(from_f16(to_f16(65519.99f)), 65504.0f);
  EXPECT_EQ(from_f16(to_f16(65520.0f)), kInfinity);
  EXPECT_EQ(from_f16(1), std::ldexp(1.0f, -24));  // the smallest subnormal
  EXPECT_EQ(to_f16(std::ldexp(1.0f, -25)), 0);    // half of it: to even
  EXPECT_EQ(to_f16(std::nextafter(std::ldexp(1.0f, -25), 1.0f)), 1);
  EXPECT_EQ(to_f16(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(from_bf16(1), std::ldexp(1.0f, -133));
  EXPECT_EQ(from_bf16(to_bf16(std::numeric_limits<float>::max())), kInfinity);
}

// A payload in the low bits alone must not round to an infinity.
TEST(half, a_nan_stays_one) {
  for (const uint32_t bits : {0x7f800001u, 0x7f80ffffu, 0x7fffffffu, 0xff800001u, 0xffffffffu, 0x7fc00000u}) {
    EXPECT_TRUE(std::isnan(from_bf16(to_bf16(detail::float_of(bits))))) << bits;
    EXPECT_TRUE(std::isnan(from_f16(to_f16(detail::float_of(bits))))) << bits;
  }
}

}  // namespace
}  // namespace dn
