// [route] against its reference, bit for bit: whole blocks, channels across blocks, groups, a layer listed twice; sources, shapes, refusals.
#include <gtest/gtest.h>

#include "layers/route/route_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  std::vector<Shape> shapes;
  std::vector<std::vector<double>> values;
  for (const RefTensor& t : x) {
    shapes.push_back(t.shape);
    values.push_back(t.v);
  }
  return route_reference<double>(static_cast<const Route&>(layer), shapes, values);
}

void check(const std::string& keys, const std::vector<Shape>& shapes) {
  testing::CheckOptions options;
  options.forward_tolerance = 0;  // copies
  testing::check_layer("[route]\n" + keys, shapes, reference, options);
}

std::string error_of(const std::string& keys, const std::vector<Shape>& shapes) { return testing::layer_error("[route]\n" + keys, shapes); }

TEST(route, whole_blocks) {
  check("layers=-1,-2", {{2, 32, 4, 5}, {2, 16, 4, 5}});
  check("layers=0,2,1", {{1, 16, 3, 3}, {1, 48, 3, 3}, {1, 16, 3, 3}});
  check("layers=-1,0", {{2, 10, 4, 3}, {2, 16, 4, 3}});  // only the last source is short: still plain copies
}

TEST(route, channels_across_blocks) {
  check("layers=-1,-2", {{2, 20, 4, 3}, {2, 10, 4, 3}});
  check("layers=0,1,2", {{1, 3, 5, 2}, {1, 8, 5, 2}, {1, 40, 5, 2}});
  check("layers=-1,-2,-3,-4", {{1, 1, 2, 2}, {1, 24, 2, 2}, {1, 7, 2, 2}, {1, 17, 2, 2}});
  check("layers=0,1,2", {{2, 16, 3, 2}, {2, 12, 3, 2}, {2, 8, 3, 2}});
}

TEST(route, groups) {
  check("layers=-1\ngroups=2\ngroup_id=1", {{2, 64, 3, 4}});
  check("layers=-1\ngroups=2\ngroup_id=0", {{1, 16, 3, 4}});
  check("layers=-1\ngroups=4\ngroup_id=2", {{1, 20, 3, 4}});
  check("layers=0,1\ngroups=3\ngroup_id=1", {{2, 48, 2, 3}, {2, 9, 2, 3}});
  check("layers=0,1\ngroups=2\ngroup_id=1", {{2, 32, 2, 3}, {2, 40, 2, 3}});   // the last part ends inside a block
}

TEST(route, single_source) {
  check("layers=-2", {{2, 20, 3, 3}, {2, 8, 6, 6}});
  EXPECT_TRUE(testing::parse_layer("[route]\nlayers=-2", 2)->is_view());
  EXPECT_FALSE(testing::parse_layer("[route]\nlayers=-1\ngroups=2", 2)->is_view());
  EXPECT_FALSE(testing::parse_layer("[route]\nlayers=-1,-1", 2)->is_view());
}

// The plan gives both entries of a layer listed twice the same gradient: the first overwrites, the second adds.
TEST(route, same_layer_twice) {
  const auto layer = testing::parse_layer("[route]\nlayers=-1,-1", 1);
  cpu::Device device({.threads = 2, .block = 8});
  const TensorDesc in{{1, 8, 1, 2}, 8}, out{{1, 16, 1, 2}, 8};
  const KernelArgs args{.x = {in, in}, .y = out, .training = true, .backward = true, .dx = {Write::overwrite, Write::accumulate}};
  const auto kernel = testing::compile_layer(*layer, device, args);
  alignas(64) float dx[16], dy[32];
  for (int i = 0; i < 32; ++i) dy[i] = static_cast<float>(i);
  const Tensor dxs[] = {{in, dx}, {in, dx}};
  kernel->backward({.dx = dxs, .dy = {out, dy}}, {.training = true});
  for (int i = 0; i < 16; ++i) EXPECT_EQ(dx[i], static_cast<float>(i + (i + 16)));
}

TEST(route, sources_and_shape) {
  const auto layer = testing::parse_layer("[route]\nlayers=-1,3", 10);
  EXPECT_EQ(layer->sources(), (std::vector<int>{9, 3}));
  const Shape in[] = {{2, 8, 4, 6}, {2, 12, 4, 6}};
  EXPECT_EQ(layer->output_shape(in), (Shape{2, 20, 4, 6}));
  EXPECT_EQ(layer->summary(in), "9 3");
  EXPECT_EQ(testing::parse_layer("[route]\nlayers=-1\ngroups=2\ngroup_id=1", 10)->summary({}), "9  part 1 of 2");
}

TEST(route, refusals) {
  const std::vector<Shape> two{{1, 8, 4, 4}, {1, 8, 2, 4}};
  EXPECT_NE(error_of("layers=-1,-2", two).find("layer 1 gives 4 x 2 x 8 and layer 0 gives 4 x 4 x 8; expected the same width and height"),
            std::string::npos);
  EXPECT_NE(error_of("layers=-1,-5", two).find("-5 is not an earlier layer"), std::string::npos);
  EXPECT_NE(error_of("layers=2", two).find("2 is not an earlier layer"), std::string::npos);
  EXPECT_NE(error_of("", two).find("'layers' is missing"), std::string::npos);
  EXPECT_NE(error_of("layers=-1\ngroups=3", two).find("groups = 3: layer 1 gives 8 channels; expected a multiple of 3"), std::string::npos);
  EXPECT_NE(error_of("layers=-1\ngroups=2\ngroup_id=2", two).find("group_id = 2: there are 2 groups; expected 0..1"), std::string::npos);
}

}  // namespace
}  // namespace dn
