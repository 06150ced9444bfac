// 16-bit floating point storage. Arithmetic is always done in float: values are widened when read and rounded to nearest even when written.
//   bf16   8 bits of exponent, 7 of mantissa: the range of a float
//   f16    5 and 10: at most 65504, subnormal below 2^-14
#pragma once

#include <cstdint>
#include <cstring>

#include "base/host_device.h"

namespace dn {

namespace detail {
DN_HD inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
DN_HD inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
}  // namespace detail

DN_HD inline float from_bf16(uint16_t bits) { return detail::float_of(static_cast<uint32_t>(bits) << 16); }

DN_HD inline uint16_t to_bf16(float value) {
  const uint32_t bits = detail::bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);   // a NaN stays one
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

DN_HD inline float from_f16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, exponent = half >> 10 & 31u, mantissa = half & 1023u;
  if (exponent == 31) return detail::float_of(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0) {   // subnormal: mantissa 2^-24
    const float value = static_cast<float>(mantissa) * 5.9604644775390625e-8f;
    return sign ? -value : value;
  }
  return detail::float_of(sign | (exponent + 112u) << 23 | mantissa << 13);
}

DN_HD inline uint16_t to_f16(float value) {
  const uint32_t bits = detail::bits_of(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);   // NaN
  if (size >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // from 65520 on it rounds to infinity
  if (size < 0x38800000u) {                                               // below 2^-14: adding 1/2 leaves the mantissa in the lowest bits, rounded
    const uint32_t rounded = detail::bits_of(detail::float_of(size) + .5f) - 0x3f000000u;
    return static_cast<uint16_t>(sign | rounded);
  }
  const uint32_t odd = size >> 13 & 1u;
  return static_cast<uint16_t>(sign | ((size - 0x38000000u + 0xfffu + odd) >> 13));
}

}  // namespace dn
