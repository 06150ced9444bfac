// [upsample] against its reference and differences: enlarging, summing, left-out rows and columns, refusals.
#include <gtest/gtest.h>

#include "layers/upsample/upsample_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return upsample_reference(static_cast<const Upsample&>(layer), x[0].shape, x[0].v);
}

void check(const std::string& keys, const Shape& shape) { testing::check_layer("[upsample]\n" + keys, {shape}, reference); }

std::string error_of(const std::string& keys, const Shape& shape = {1, 8, 3, 5}) { return testing::layer_error("[upsample]\n" + keys, {shape}); }

TEST(upsample, enlarges) {
  check("stride=2", {2, 16, 3, 4});
  check("", {1, 20, 2, 5});
  check("stride=4", {1, 10, 3, 3});
  check("stride=3\nscale=.5", {2, 3, 4, 1});
  check("stride=1\nscale=-2", {1, 8, 4, 4});
}

TEST(upsample, negative_stride_sums) {
  check("stride=-2", {2, 16, 6, 8});
  check("stride=-2\nscale=.25", {1, 20, 5, 7});  // the last row and column are left out, their gradient is zero
  check("stride=-3", {1, 3, 7, 11});
}

TEST(upsample, refusals) {
  EXPECT_NE(error_of("stride=0").find("stride = 0"), std::string::npos);
  EXPECT_NE(error_of("stride=65").find("expected -64..64"), std::string::npos);
  EXPECT_NE(error_of("stride=-4").find("stride = -4: the input is only 5 x 3 x 8; expected at least 4 on a side"), std::string::npos);
  EXPECT_NE(error_of("stride=64", {1, 1, 1 << 15, 8}).find("too large"), std::string::npos);
}

TEST(upsample, summary) {
  EXPECT_EQ(testing::parse_layer("[upsample]\nstride=2", 1)->summary({}), "2x");
  EXPECT_EQ(testing::parse_layer("[upsample]\nstride=-2\nscale=.5", 1)->summary({}), "1/2 sum  scale 0.5");
}

}  // namespace
}  // namespace dn
