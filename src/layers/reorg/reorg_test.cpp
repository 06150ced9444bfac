// [reorg], [reorg3d] against their reference, bit for bit, and differences: both forms and directions, channels across blocks, shapes, refusals.
#include <gtest/gtest.h>

#include <numeric>

#include "layers/reorg/reorg_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return reorg_reference(static_cast<const Reorg&>(layer), x[0].shape, x[0].v);
}

void check(const std::string& text, const Shape& shape) {
  testing::CheckOptions options;
  options.forward_tolerance = 0;  // a permutation
  testing::check_layer(text, {shape}, reference, options);
}

std::string error_of(const std::string& text, const Shape& shape) { return testing::layer_error(text, {shape}); }

// y for x = 0, 1, 2, ...
std::vector<double> places(const std::string& text, const Shape& in) {
  std::vector<double> x(in.count());
  std::iota(x.begin(), x.end(), 0);
  return reorg_reference(static_cast<const Reorg&>(*testing::parse_layer(text, 1)), in, x);
}

TEST(reorg, the_flat_permutation) {
  check("[reorg]\nstride=2", {2, 64, 4, 6});
  check("[reorg]\nstride=2", {2, 4, 6, 2});
  check("[reorg]\nstride=2", {1, 20, 2, 8});
  check("[reorg]\nstride=3", {2, 18, 6, 3});
  check("[reorg]", {1, 5, 3, 4});
}

TEST(reorg, reverse) {
  check("[reorg]\nstride=2\nreverse=1", {2, 64, 3, 2});
  check("[reorg]\nstride=2\nreverse=1", {1, 12, 3, 5});
  check("[reorg]\nstride=3\nreverse=1", {2, 9, 1, 2});
}

// Squares of the 8 x 4 map as which the 4 x 2 x 4 input is read.
TEST(reorg, the_flat_permutation_in_numbers) {
  EXPECT_EQ(places("[reorg]\nstride=2", {1, 4, 2, 4}),
            (std::vector<double>{0, 2, 4, 6, 16, 18, 20, 22, 1, 3, 5, 7, 17, 19, 21, 23, 8, 10, 12, 14, 24, 26, 28, 30, 9, 11, 13, 15, 25, 27, 29, 31}));
}

TEST(reorg, shapes_and_refusals) {
  const Shape in{2, 64, 26, 38};
  EXPECT_EQ(testing::parse_layer("[reorg]\nstride=2", 1)->output_shape({&in, 1}), (Shape{2, 256, 13, 19}));
  EXPECT_EQ(testing::parse_layer("[reorg]\nstride=2\nreverse=1", 1)->output_shape({&in, 1}), (Shape{2, 16, 52, 76}));
  EXPECT_EQ(testing::parse_layer("[reorg]\nstride=2", 1)->summary({}), "/2");
  EXPECT_EQ(testing::parse_layer("[reorg]\nstride=2\nreverse=1", 1)->summary({}), "x2");
  EXPECT_NE(error_of("[reorg]\nstride=2", {1, 6, 4, 4}).find("stride = 2: the input is 4 x 4 x 6; expected a multiple of 4 channels"), std::string::npos);
  EXPECT_NE(error_of("[reorg]\nstride=2", {1, 8, 4, 5}).find("expected a width and height that are multiples of 2"), std::string::npos);
  EXPECT_NE(error_of("[reorg]\nstride=2\nreverse=1", {1, 6, 4, 4}).find("expected a multiple of 4 channels"), std::string::npos);
  EXPECT_NE(error_of("[reorg]\nstride=64\nreverse=1", {1, 4096, 1 << 15, 4}).find("too large"), std::string::npos);
  EXPECT_NE(error_of("[reorg]\nstride=64", {1, 1 << 13, 64, 64}).find("too deep"), std::string::npos);
  EXPECT_NE(error_of("[reorg]\nstride=0", {1, 8, 4, 4}).find("expected 1..64"), std::string::npos);
}

TEST(reorg3d, both_directions) {
  check("[reorg3d]\nstride=2", {2, 16, 4, 6});
  check("[reorg3d]\nstride=2", {2, 3, 6, 2});
  check("[reorg3d]\nstride=3", {1, 5, 3, 9});
  check("[reorg3d]\nstride=2\nreverse=1", {2, 64, 3, 2});
  check("[reorg3d]\nstride=2\nreverse=1", {1, 12, 3, 5});
  check("[reorg3d]\nstride=2", {2, 24, 4, 6});
  check("[reorg3d]\nstride=2\nreverse=1", {2, 48, 3, 2});
}

TEST(reorg3d, in_numbers) {
  EXPECT_EQ(places("[reorg3d]\nstride=2", {1, 2, 2, 4}), (std::vector<double>{0, 2, 8, 10, 1, 3, 9, 11, 4, 6, 12, 14, 5, 7, 13, 15}));
}

TEST(reorg3d, reverse_undoes_it) {
  const Shape in{2, 3, 6, 4};
  const auto layer = testing::parse_layer("[reorg3d]\nstride=2\nreverse=1", 1);
  const Shape deep{2, 12, 3, 2};
  const std::vector<double> back = reorg_reference(static_cast<const Reorg&>(*layer), deep, places("[reorg3d]\nstride=2", in));
  for (size_t i = 0; i < back.size(); ++i) EXPECT_EQ(back[i], static_cast<double>(i));
}

TEST(reorg3d, shape_of_any_depth) {
  const Shape in{2, 3, 26, 38};
  EXPECT_EQ(testing::parse_layer("[reorg3d]\nstride=2", 1)->output_shape({&in, 1}), (Shape{2, 12, 13, 19}));
}

}  // namespace
}  // namespace dn
