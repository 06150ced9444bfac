#include <gtest/gtest.h>

#include "layers/batchnorm/batchnorm.h"
#include "nn/normalize_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

// The same normalization as a convolution's, so its reference serves.
std::vector<double> reference(const Layer& layer, std::span<const testing::RefTensor> x, std::span<const std::vector<double>> p, const Shape& out, bool training) {
  std::vector<double> y = x[0].v;
  normalize_ref<double>(static_cast<const Batchnorm&>(layer).norm(), out, y, p[0], p.subspan(1), !training, Activation::linear);
  return y;
}

TEST(batchnorm, matches_reference) {
  testing::check_layer("[batchnorm]", {{3, 16, 5, 4}}, reference);
  testing::check_layer("[batchnorm]", {{2, 10, 7, 3}}, reference);
  testing::check_layer("[batchnorm]", {{4, 20, 1, 1}}, reference);
}

TEST(batchnorm, normalizes_each_image_alone) {
  for (const char* norm : {"gn\nnorm_groups=2", "ln", "in", "lnc", "frn"})
    for (const Shape& shape : {Shape{3, 16, 5, 4}, Shape{2, 10, 7, 3}, Shape{2, 40, 9, 8}}) testing::check_layer(concat("[batchnorm]\nnorm=", norm), {shape}, reference);
  testing::check_layer("[batchnorm]\nnorm=lnc", {{2, 24, 40, 30}}, reference);   // several strips of pixels
}

TEST(batchnorm, refuses_one_value_per_channel) {
  cpu::Device device;
  const auto layer = testing::parse_layer("[batchnorm]", 1);
  KernelArgs args;
  args.x = {{{1, 8, 1, 1}, device.block()}};
  args.y = args.x[0];
  args.training = true;
  args.dx = {Write::none};
  EXPECT_THROW(testing::compile_layer(*layer, device, args), Error);
}

}  // namespace
}  // namespace dn
