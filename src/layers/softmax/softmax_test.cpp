// [softmax] against its reference and differences: groups, maps, spatial, temperature, large scores; refusals.
#include <gtest/gtest.h>

#include "layers/softmax/softmax_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return softmax_reference(static_cast<const Softmax&>(layer), x[0].shape, x[0].v);
}

void check(const std::string& keys, const Shape& shape) { testing::check_layer("[softmax]\nnoloss=1\n" + keys, {shape}, reference); }

std::string error_of(const std::string& keys, const Shape& shape = {1, 10, 1, 1}) { return testing::layer_error("[softmax]\n" + keys, {shape}); }

TEST(softmax, class_scores) {
  check("", {3, 10, 1, 1});
  check("groups=2", {2, 20, 1, 1});
  check("temperature=3", {2, 3, 1, 1});
  check("groups=3\ntemperature=.5", {1, 48, 1, 1});
  check("", {2, 1003, 1, 1});
}

TEST(softmax, maps) {
  check("", {2, 3, 2, 3});
  check("groups=4", {1, 10, 2, 2});  // a group's border lies inside a channel
  check("spatial=1", {2, 20, 3, 2});
  check("spatial=1\ngroups=2\ntemperature=2", {1, 20, 2, 2});
  check("spatial=1\ngroups=3", {2, 57, 5, 7});
}

TEST(softmax, large_scores_do_not_overflow) {
  testing::CheckOptions options;
  options.low = -5000, options.high = 5000;
  options.training = false;
  testing::check_layer("[softmax]", {{2, 20, 1, 1}}, reference, options);
}

TEST(softmax, refusals) {
  EXPECT_NE(error_of("groups=3").find("groups = 3: layer 0 gives 10 values; expected a divisor of 10"), std::string::npos);
  EXPECT_NE(error_of("temperature=0").find("temperature = 0"), std::string::npos);
  EXPECT_NE(error_of("tree=data/9k.tree").find("not built yet"), std::string::npos);
}

}  // namespace
}  // namespace dn
