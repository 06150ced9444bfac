// Values in the order [N,C,H,W] to and from the layout of a tensor, and how far two lists of values are apart.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "tensor/tensor.h"

namespace dn::testing {

// Channels that fill up the last block become 0.
template <class Values>
void pack(const Values& from, const Tensor& to) {
  const Shape& s = to.desc.shape;
  std::fill_n(to.data, to.desc.count(), 0.0f);
  size_t i = 0;
  for (int n = 0; n < s.n; ++n)
    for (int c = 0; c < s.c; ++c)
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x) to.at(n, c, y, x) = static_cast<float>(from[i++]);
}

template <class Value>
std::vector<Value> unpack(const Tensor& from) {
  const Shape& s = from.desc.shape;
  std::vector<Value> out;
  out.reserve(s.count());
  for (int n = 0; n < s.n; ++n)
    for (int c = 0; c < s.c; ++c)
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x) out.push_back(from.at(n, c, y, x));
  return out;
}

// The length of the difference, by that of `expected`.
inline double distance(const std::vector<float>& expected, const std::vector<float>& got) {
  ensure(expected.size() == got.size(), "lists of one length");
  double error = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += std::pow(static_cast<double>(expected[i]) - static_cast<double>(got[i]), 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(error / size);
}

}  // namespace dn::testing
