// [cost]: a copy at inference, an Error when training is asked of it; refusals.
#include <gtest/gtest.h>

#include "layers/cost/cost_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer&, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return cost_reference(x[0].v);
}

std::string error_of(const std::string& keys) { return testing::layer_error("[cost]\n" + keys, {{1, 8, 4, 4}}); }

TEST(cost, passes_on_at_inference) {
  testing::CheckOptions options;
  options.training = false;
  options.forward_tolerance = 0;
  testing::check_layer("[cost]\ntype=smooth\nscale=2\nratio=.5", {{2, 10, 3, 4}}, reference, options);
}

TEST(cost, refuses_training) {
  const auto layer = testing::parse_layer("[cost]", 1);
  cpu::Device device({.threads = 1, .block = 8});
  const TensorDesc t{{1, 8, 1, 1}, 8};
  try {
    testing::compile_layer(*layer, device, {.x = {t}, .y = t, .training = true, .backward = true, .dx = {Write::overwrite}});
    FAIL() << "a training kernel was made";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("[cost]: cannot be trained: it needs class targets"), std::string::npos);
  }
}

TEST(cost, refusals) {
  EXPECT_NE(error_of("type=l1").find("expected sse, masked, smooth"), std::string::npos);
  EXPECT_NE(error_of("ratio=2").find("expected 0..1"), std::string::npos);
}

}  // namespace
}  // namespace dn
