// The one statistics type: count, mean, and M2 = sum of squared deviations, in double, merged by Chan's formula
// (Chan, Golub, LeVeque 1979). Never E[x^2] - mean^2.
#pragma once

#include "base/host_device.h"

namespace dn {

struct Moments {
  double count = 0, mean = 0, m2 = 0;

  DN_HD void merge(const Moments& other) {
    if (other.count == 0) return;
    if (count == 0) {
      *this = other;  // assignment, so that an earlier NaN cannot survive
      return;
    }
    const double total = count + other.count, difference = other.mean - mean;
    mean += difference * (other.count / total);
    m2 += other.m2 + difference * difference * (count * other.count / total);
    count = total;
  }
  DN_HD double variance() const { return m2 / count; }                        // biased: what normalizes y
  DN_HD double unbiased_variance() const { return count > 1 ? m2 / (count - 1) : m2; }  // what running averages take
};

}  // namespace dn
