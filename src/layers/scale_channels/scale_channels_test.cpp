// [scale_channels] against its reference and differences: a factor per channel, a factor per pixel, activations, sources, refusals.
#include <gtest/gtest.h>

#include "layers/scale_channels/scale_channels_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return scale_channels_reference(static_cast<const ScaleChannels&>(layer), x[1].shape, x[0].v, x[1].v);
}

void check(const std::string& keys, const Shape& x, const Shape& factors) { testing::check_layer("[scale_channels]\n" + keys, {x, factors}, reference); }

std::string error_of(const std::string& keys, const std::vector<Shape>& shapes) { return testing::layer_error("[scale_channels]\n" + keys, shapes); }

TEST(scale_channels, a_factor_per_channel) {
  check("from=-2", {2, 16, 4, 5}, {2, 16, 1, 1});
  check("from=0", {3, 20, 3, 1}, {3, 20, 1, 1});
  check("from=-2", {1, 3, 1, 7}, {1, 3, 1, 1});
  check("from=-2", {2, 77, 34, 33}, {2, 77, 1, 1});   // sums over several blocks of a GPU
}

TEST(scale_channels, a_factor_per_pixel) {
  check("from=-2\nscale_wh=1", {2, 16, 4, 5}, {2, 1, 4, 5});
  check("from=-2\nscale_wh=1", {2, 20, 3, 1}, {2, 1, 3, 1});
  check("from=-2\nscale_wh=1", {1, 1, 5, 4}, {1, 1, 5, 4});
  check("from=-2\nscale_wh=1", {1, 150, 7, 9}, {1, 1, 7, 9});
}

TEST(scale_channels, activations) {
  for (const std::string name : {"leaky", "logistic", "swish", "mish"}) {  // logistic(0) is not 0: padding lanes must stay so
    check("from=-2\nactivation=" + name, {2, 10, 3, 4}, {2, 10, 1, 1});
    check("from=-2\nscale_wh=1\nactivation=" + name, {2, 10, 3, 4}, {2, 1, 3, 4});
  }
}

// The plan gives both sources the same gradient: the first overwrites, the second adds.
TEST(scale_channels, a_layer_by_itself) {
  for (const std::string keys : {"from=-1", "from=-1\nscale_wh=1"}) {
    const bool per_pixel = keys != "from=-1";
    const TensorDesc t{per_pixel ? Shape{2, 1, 2, 2} : Shape{2, 8, 1, 1}, 8};
    const auto layer = testing::parse_layer("[scale_channels]\n" + keys, 1);
    cpu::Device device({.threads = 2, .block = 8});
    const KernelArgs args{.x = {t, t}, .y = t, .training = true, .backward = true, .dx = {Write::overwrite, Write::accumulate}};
    const auto kernel = testing::compile_layer(*layer, device, args);
    alignas(64) float x[64] = {}, dx[64], dy[64] = {};
    const Tensor tx{t, x}, tdx{t, dx}, tdy{t, dy};
    for (int n = 0; n < 2; ++n)
      for (int i = 0; i < (per_pixel ? 4 : 8); ++i) {
        const int c = per_pixel ? 0 : i, row = per_pixel ? i / 2 : 0, column = per_pixel ? i % 2 : 0;
        tx.at(n, c, row, column) = static_cast<float>(10 * n + i);
        tdy.at(n, c, row, column) = 1;
      }
    const Tensor xs[] = {tx, tx}, dxs[] = {tdx, tdx};
    kernel->backward({.x = xs, .dx = dxs, .dy = tdy}, {.training = true});
    for (size_t i = 0; i < t.count(); ++i) EXPECT_EQ(dx[i], 2 * x[i]) << keys << " " << i;
  }
}

TEST(scale_channels, sources_and_summary) {
  const auto layer = testing::parse_layer("[scale_channels]\nfrom=-4", 8);
  EXPECT_EQ(layer->sources(), (std::vector<int>{7, 4}));
  EXPECT_EQ(layer->summary({}), "x 4  linear");
  EXPECT_EQ(testing::parse_layer("[scale_channels]\nfrom=2\nscale_wh=1\nactivation=mish", 8)->summary({}), "x 2  per pixel  mish");
}

TEST(scale_channels, refusals) {
  const std::vector<Shape> two{{1, 8, 4, 6}, {1, 16, 1, 1}};
  EXPECT_NE(error_of("from=-2", two).find("scale_wh = 0: layer 0 gives 6 x 4 x 8 and layer 1 before gives 1 x 1 x 16; expected 1 x 1 x 8 factors"),
            std::string::npos);
  EXPECT_NE(error_of("from=-2\nscale_wh=1", two).find("expected 6 x 4 x 1 factors"), std::string::npos);
  EXPECT_NE(error_of("", two).find("'from' is missing"), std::string::npos);
  EXPECT_NE(error_of("from=-7", two).find("-7 is not an earlier layer"), std::string::npos);
  EXPECT_NE(error_of("from=-1\nactivation=foo", two).find("activation = foo"), std::string::npos);
}

}  // namespace
}  // namespace dn
