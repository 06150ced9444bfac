// [local_avgpool] against its reference and differences: tiles, overlapping and clipped windows, gaps, shapes, refusals.
#include <gtest/gtest.h>

#include "layers/local_avgpool/local_avgpool_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return local_avgpool_reference(static_cast<const LocalAvgpool&>(layer), x[0].shape, x[0].v);
}

void check(const std::string& keys, const Shape& shape) { testing::check_layer("[local_avgpool]\n" + keys, {shape}, reference); }

std::string error_of(const std::string& keys, const Shape& shape = {1, 8, 8, 8}) { return testing::layer_error("[local_avgpool]\n" + keys, {shape}); }

TEST(local_avgpool, tiles) {
  check("size=2\nstride=2", {2, 16, 8, 6});
  check("size=2\nstride=2", {2, 3, 7, 9});                // the last windows reach over the edge
  check("size=4\nstride=4\npadding=0", {1, 20, 9, 10});   // the last rows and columns belong to no window
}

TEST(local_avgpool, overlapping_windows) {
  check("size=3\nstride=1", {2, 20, 5, 6});
  check("size=3\nstride=2\npadding=4", {1, 10, 6, 7});
  check("size=5\nstride_x=3\nstride_y=1", {1, 8, 7, 9});
  check("size=9\nstride=2", {2, 12, 7, 11});
}

TEST(local_avgpool, gaps) {
  check("size=2\nstride=3", {1, 10, 9, 8});
  check("stride=1", {1, 3, 4, 4});
}

TEST(local_avgpool, blurred) {
  check("size=3\nstride=2\nantialiasing=1", {2, 20, 7, 8});
  check("size=2\nstride_x=3\nstride_y=2\nantialiasing=2", {1, 8, 6, 9});
}

TEST(local_avgpool, shapes_and_refusals) {
  const Shape in{2, 12, 13, 16};
  EXPECT_EQ(testing::parse_layer("[local_avgpool]\nsize=4\nstride=4", 1)->output_shape({&in, 1}), (Shape{2, 12, 4, 4}));
  EXPECT_EQ(testing::parse_layer("[local_avg]\nsize=3\nstride=2\npadding=0", 1)->summary({}), "3x3/2  padding 0");
  EXPECT_NE(error_of("size=0").find("[local_avgpool] size = 0"), std::string::npos);
  EXPECT_NE(error_of("size=3\npadding=5").find("a window could hold no cell of the map; expected 0..4 for size 3"), std::string::npos);
  EXPECT_NE(error_of("size=20\npadding=0").find("size = 20: larger than the padded input of 8 x 8"), std::string::npos);
  EXPECT_NE(error_of("size=2\nantialiasing=3").find("antialiasing = 3"), std::string::npos);
  EXPECT_NE(error_of("size=8\npadding=0\nstride=2\nantialiasing=2").find("antialiasing = 2: the blur of 2 x 2 is larger than the 1 x 1"), std::string::npos);
}

}  // namespace
}  // namespace dn
