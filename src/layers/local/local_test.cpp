// [local] against its reference and differences; shapes, parameters, refusals.
#include <gtest/gtest.h>

#include "layers/local/local_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> params, const Shape& out, bool) {
  return local_reference(static_cast<const Local&>(layer), x[0].shape, out, x[0].v, params[0], params[1]);
}

void check(const std::string& keys, const Shape& shape) { testing::check_layer("[local]\n" + keys, {shape}, reference); }

TEST(local, unshared_convolution) {
  check("filters=10\nsize=3\npad=1\nactivation=leaky", {2, 8, 4, 5});
  check("filters=16\nsize=3\nactivation=linear", {2, 12, 5, 4});
  check("filters=5\nsize=3\nstride=2\npad=1\nactivation=mish", {1, 3, 7, 6});
  check("filters=4\nsize=5\npad=1\nactivation=logistic", {2, 20, 4, 4});
  check("filters=3\nsize=2\npad=1\nactivation=linear", {1, 8, 4, 3});
  check("filters=20", {3, 8, 2, 2});
  check("filters=11\nsize=3\npad=1\nstride=2\nactivation=leaky", {10, 6, 3, 5});
}

TEST(local, parameters) {
  const Shape in{1, 1024, 7, 7};
  const auto params = testing::parse_layer("[local]\nfilters=256\nsize=3\npad=1\nactivation=leaky", 1)->params({&in, 1});
  EXPECT_EQ(params[0].count, 256u * 49);
  EXPECT_EQ(params[1].count, 256u * 49 * 9216);
  EXPECT_EQ(params[1].init, Init::uniform);
  EXPECT_TRUE(params[1].decays);
  EXPECT_FALSE(testing::parse_layer("[local]", 1)->resizable());
}

TEST(local, refusals) {
  const Shape small{1, 8, 2, 4};
  EXPECT_THROW(testing::parse_layer("[local]\nfilters=4\nsize=3", 1)->output_shape({&small, 1}), Error);
  EXPECT_NO_THROW(testing::parse_layer("[local]\nfilters=4\nsize=3\npad=1", 1)->output_shape({&small, 1}));
}

}  // namespace
}  // namespace dn
