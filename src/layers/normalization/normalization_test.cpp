// [normalization] against its reference and differences: windows of both parities, wider than the channels, strong enough to matter; keys, refusals.
#include <gtest/gtest.h>

#include "layers/normalization/normalization_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return normalization_reference(static_cast<const Normalization&>(layer), x[0].shape, x[0].v);
}

void check(const std::string& keys, const Shape& shape) { testing::check_layer("[normalization]\n" + keys, {shape}, reference); }

TEST(normalization, windows) {
  check("alpha=.1", {2, 16, 3, 4});
  check("alpha=.1\nsize=4", {1, 20, 3, 3});
  check("alpha=.1\nsize=3\nbeta=.5\nkappa=2", {2, 10, 2, 5});
  check("alpha=.1\nsize=1", {1, 8, 3, 2});
  check("alpha=.1\nsize=2", {2, 3, 1, 4});
  check("alpha=.1\nsize=6", {2, 45, 3, 2});
}

TEST(normalization, windows_wider_than_the_channels) {
  check("alpha=.1\nsize=9", {1, 3, 2, 2});
  check("alpha=.1\nsize=8", {1, 5, 2, 2});
  check("alpha=.1\nsize=1001", {1, 20, 2, 2});
}

TEST(normalization, one_channel_is_left_out) {
  const auto layer = testing::parse_layer("[lrn]\nalpha=1\nbeta=1\nsize=3", 1);
  const Shape in{1, 4, 1, 1};
  const std::vector<double> y = normalization_reference(static_cast<const Normalization&>(*layer), in, std::vector<double>{1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(y[0], 1. / (1 + 1));           // channel 1 is not in
  EXPECT_DOUBLE_EQ(y[1], 2. / (1 + 1 + 9));
  EXPECT_DOUBLE_EQ(y[2], 3. / (1 + 9 + 16));
  EXPECT_DOUBLE_EQ(y[3], 4. / (1 + 9 + 16 - 4));  // and goes on missing
}

TEST(normalization, defaults_and_refusals) {
  const auto layer = testing::parse_layer("[lrn]", 1);
  const NormalizationSpec& spec = static_cast<const Normalization&>(*layer).spec();
  EXPECT_EQ(spec.alpha, 1e-4f);
  EXPECT_EQ(spec.beta, .75f);
  EXPECT_EQ(spec.kappa, 1);
  EXPECT_EQ(spec.size, 5);
  EXPECT_EQ(layer->summary({}), "over 5 channels");
  try {
    testing::parse_layer("[normalization]\nsize=0", 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("[normalization] size = 0"), std::string::npos);
  }
}

}  // namespace
}  // namespace dn
