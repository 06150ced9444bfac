// [avgpool] against its reference and differences, odd channel counts, and the accuracy of the sum over large maps.
#include <gtest/gtest.h>

#include "layers/avgpool/avgpool_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::check_layer;
using testing::RefTensor;

std::vector<double> reference(const Layer&, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return avgpool_reference(x[0].shape, x[0].v);
}

TEST(avgpool, mean_of_every_channel) {
  check_layer("[avgpool]", {{2, 16, 5, 6}}, reference);
  check_layer("[avgpool]", {{1, 3, 1, 7}}, reference);
  check_layer("[avgpool]", {{3, 20, 4, 1}}, reference);
  check_layer("[avgpool]", {{2, 10, 1, 1}}, reference);
  check_layer("[avgpool]", {{2, 76, 35, 37}}, reference);
}

TEST(avgpool, large_maps_lose_nothing) {
  testing::CheckOptions options;
  options.low = 1e3, options.high = 1e3 + 1;  // a float sum of all would be off by far more
  options.forward_tolerance = 1e-6;
  options.training = false;
  check_layer("[avgpool]", {{1, 8, 300, 300}}, reference, options);
}

TEST(avgpool, shape) {
  const Shape in{2, 20, 13, 11};
  EXPECT_EQ(testing::parse_layer("[avgpool]", 1)->output_shape({&in, 1}), (Shape{2, 20, 1, 1}));
}

}  // namespace
}  // namespace dn
