// [sam] against its reference and differences: channel counts, activations, a layer multiplied by itself; sources, refusals.
#include <gtest/gtest.h>

#include "layers/sam/sam_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return sam_reference(static_cast<const Sam&>(layer), x[0].v, x[1].v);
}

std::string error_of(const std::string& keys, const std::vector<Shape>& shapes) { return testing::layer_error("[sam]\n" + keys, shapes); }

TEST(sam, product) {
  testing::check_layer("[sam]\nfrom=-2", {{2, 16, 4, 5}, {2, 16, 4, 5}}, reference);
  testing::check_layer("[sam]\nfrom=0", {{1, 20, 3, 3}, {1, 8, 2, 2}, {1, 20, 3, 3}}, reference);
  testing::check_layer("[sam]\nfrom=-2", {{2, 3, 1, 7}, {2, 3, 1, 7}}, reference);
}

TEST(sam, activations) {
  for (const std::string name : {"leaky", "logistic", "swish", "mish"})  // logistic(0) is not 0: padding lanes must stay so
    testing::check_layer("[sam]\nfrom=-2\nactivation=" + name, {{2, 10, 3, 4}, {2, 10, 3, 4}}, reference);
}

// The plan gives both sources the same gradient: the first overwrites, the second adds.
TEST(sam, a_layer_by_itself) {
  const auto layer = testing::parse_layer("[sam]\nfrom=-1", 1);
  cpu::Device device({.threads = 2, .block = 8});
  const TensorDesc t{{1, 8, 1, 2}, 8};
  const KernelArgs args{.x = {t, t}, .y = t, .training = true, .backward = true, .dx = {Write::overwrite, Write::accumulate}};
  const auto kernel = testing::compile_layer(*layer, device, args);
  alignas(64) float x[16], dx[16], dy[16];
  for (int i = 0; i < 16; ++i) x[i] = static_cast<float>(i), dy[i] = 1;
  const Tensor xs[] = {{t, x}, {t, x}}, dxs[] = {{t, dx}, {t, dx}};
  kernel->backward({.x = xs, .dx = dxs, .dy = {t, dy}}, {.training = true});
  for (int i = 0; i < 16; ++i) EXPECT_EQ(dx[i], static_cast<float>(2 * i));
}

TEST(sam, sources_and_summary) {
  const auto layer = testing::parse_layer("[sam]\nfrom=-3\nactivation=leaky", 8);
  EXPECT_EQ(layer->sources(), (std::vector<int>{7, 5}));
  EXPECT_EQ(layer->summary({}), "x 5  leaky");
}

TEST(sam, refusals) {
  const std::vector<Shape> two{{1, 8, 4, 4}, {1, 16, 4, 4}};
  EXPECT_NE(error_of("from=-2", two).find("layer 0 gives 4 x 4 x 8 and layer 1 before gives 4 x 4 x 16; expected the same shape"), std::string::npos);
  EXPECT_NE(error_of("", two).find("'from' is missing"), std::string::npos);
  EXPECT_NE(error_of("from=-7", two).find("-7 is not an earlier layer"), std::string::npos);
  EXPECT_NE(error_of("from=-1", {}).find("not an earlier layer"), std::string::npos);
  EXPECT_NE(error_of("from=-1\nactivation=foo", two).find("activation = foo"), std::string::npos);
}

}  // namespace
}  // namespace dn
