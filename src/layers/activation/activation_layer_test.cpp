// [activation] against its reference and differences, every function; a linear one is a view; refusals.
#include <gtest/gtest.h>

#include "layers/activation/activation_layer_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return activation_reference(static_cast<const ActivationLayer&>(layer), x[0].v);
}

TEST(activation_layer, every_function) {
  for (const std::string_view name : activation_names())
    if (name != "linear") testing::check_layer(concat("[activation]\nactivation=", name), {{2, 10, 5, 4}}, reference);
  testing::check_layer("[activation]\nactivation=mish", {{1, 32, 30, 33}}, reference);
}

TEST(activation_layer, linear_is_a_view) {
  EXPECT_TRUE(testing::parse_layer("[activation]", 1)->is_view());
  EXPECT_FALSE(testing::parse_layer("[activation]\nactivation=leaky", 1)->is_view());
  EXPECT_THROW(testing::parse_layer("[activation]\nactivation=foo", 1), Error);
}

}  // namespace
}  // namespace dn
