// Sizes without surprises: checked products and rounding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "base/error.h"

namespace dn {

constexpr int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }
constexpr size_t round_up(size_t value, size_t multiple) { return (value + multiple - 1) / multiple * multiple; }
constexpr int ceil_div(int value, int by) { return (value + by - 1) / by; }

// Product of sizes; Error instead of wrapping around.
inline size_t checked_product(std::initializer_list<size_t> factors) {
  size_t product = 1;
  for (size_t factor : factors)
    if (__builtin_mul_overflow(product, factor, &product)) fail("a size overflows 64 bits");
  return product;
}

}  // namespace dn
