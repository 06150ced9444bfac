// [dropout] against its reference; the mask's statistics: share, independence between images, iterations, layers, seeds and neighbours; its
// independence of the split into mini-batches; refusals.
#include <gtest/gtest.h>

#include <cmath>

#include "layers/dropout/dropout_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool training) {
  return dropout_reference(static_cast<const Dropout&>(layer), {.training = training, .seed = 3}, x[0].shape, x[0].v);
}

void check(const std::string& keys, const Shape& shape) { testing::check_layer("[dropout]\n" + keys, {shape}, reference); }

std::string error_of(const std::string& keys) { return testing::layer_error("[dropout]\n" + keys, {{1, 8, 4, 4}}); }

TEST(dropout, drops_and_scales) {
  check("probability=.5", {2, 16, 5, 6});
  check("probability=.2", {3, 3, 7, 5});
  check("", {1, 20, 4, 4});
  check("probability=.9", {2, 10, 3, 3});
  check("probability=0", {1, 20, 3, 3});
}

double dropped_share(const DropoutMask& mask, uint32_t count) {
  double dropped = 0;
  for (uint32_t e = 0; e < count; ++e) dropped += mask.drops(e);
  return dropped / count;
}

TEST(dropout, share_is_the_probability) {
  const uint32_t count = 1 << 20;
  for (const double p : {.05, .2, .5, .75})
    for (int image = 0; image < 4; ++image) {
      const double spread = std::sqrt(p * (1 - p) / count);
      EXPECT_NEAR(dropped_share(DropoutMask({.seed = 5}, 2, image, p), count), p, 5 * spread);
    }
}

// Masks of different images, iterations, layers and seeds agree as often as chance says; so do neighbours within one.
TEST(dropout, masks_are_independent) {
  const uint32_t count = 1 << 18;
  const DropoutMask first({.iteration = 7, .seed = 5}, 3, 0, .5);
  const DropoutMask others[] = {{{.iteration = 7, .seed = 5}, 3, 1, .5},
                                {{.iteration = 8, .seed = 5}, 3, 0, .5},
                                {{.iteration = 7, .seed = 5}, 4, 0, .5},
                                {{.iteration = 7, .seed = 6}, 3, 0, .5}};
  const double spread = 5 * std::sqrt(.25 / count);
  for (const DropoutMask& other : others) {
    double same = 0;
    for (uint32_t e = 0; e < count; ++e) same += first.drops(e) == other.drops(e);
    EXPECT_NEAR(same / count, .5, spread);
  }
  for (const uint32_t step : {1u, 2u, 13u, 16u, 169u, 4096u}) {
    double same = 0;
    for (uint32_t e = 0; e < count; ++e) same += first.drops(e) == first.drops(e + step);
    EXPECT_NEAR(same / count, .5, spread) << "step " << step;
  }
}

// An image's mask is named by its index in the batch, not by the mini-batch it came in.
TEST(dropout, subdivisions_change_nothing) {
  const DropoutMask whole({.first_image = 0}, 1, 5, .5), split({.first_image = 4}, 1, 1, .5);
  for (uint32_t e = 0; e < 1000; ++e) EXPECT_EQ(whole.drops(e), split.drops(e));
}

TEST(dropout, nothing_dropped_is_a_view) {
  EXPECT_TRUE(testing::parse_layer("[dropout]\nprobability=.0", 1)->is_view());
  EXPECT_FALSE(testing::parse_layer("[dropout]\nprobability=.1", 1)->is_view());
}

TEST(dropout, refusals) {
  EXPECT_NE(error_of("probability=1").find("probability = 1: nothing would be left"), std::string::npos);
  EXPECT_NE(error_of("probability=-.1").find("expected 0..1"), std::string::npos);
  EXPECT_NE(error_of("dropblock=1\ndropblock_size_abs=7").find("not built yet"), std::string::npos);
  EXPECT_EQ(error_of("probability=.5\ndropblock=0"), "");
}

}  // namespace
}  // namespace dn
