#include <gtest/gtest.h>

#include "layers/connected/connected.h"
#include "nn/normalize_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

std::vector<double> reference(const Layer& layer, std::span<const testing::RefTensor> x, std::span<const std::vector<double>> p, const Shape& out, bool training) {
  const auto& connected = static_cast<const Connected&>(layer);
  const size_t inputs = x[0].shape.per_image(), outputs = static_cast<size_t>(out.c);
  std::vector<double> y(out.count());
  for (size_t n = 0; n < static_cast<size_t>(out.n); ++n)
    for (size_t o = 0; o < outputs; ++o)
      for (size_t i = 0; i < inputs; ++i) y[n * outputs + o] += p[1][o * inputs + i] * x[0].v[n * inputs + i];
  normalize_ref<double>(connected.norm(), out, y, p[0], p.subspan(2), !training, connected.activation());
  return y;
}

TEST(connected, matches_reference) {
  testing::check_layer("[connected]\noutput=10\nactivation=leaky", {{3, 8, 1, 1}}, reference);
  testing::check_layer("[connected]\noutput=16\nactivation=linear", {{2, 20, 3, 2}}, reference);
  testing::check_layer("[connected]\noutput=7\nactivation=logistic", {{2, 5, 2, 3}}, reference);
}

TEST(connected, matches_reference_normalized) {
  testing::check_layer("[connected]\noutput=12\nbatch_normalize=1\nactivation=leaky", {{5, 9, 2, 2}}, reference);
  testing::check_layer("[connected]\noutput=16\nbatch_normalize=1\nactivation=mish", {{4, 16, 1, 1}}, reference);
  for (const char* norm : {"gn\nnorm_groups=4", "ln", "lnc"})
    testing::check_layer(concat("[connected]\noutput=12\nactivation=leaky\nnorm=", norm), {{3, 9, 2, 2}}, reference);
}

}  // namespace
}  // namespace dn
