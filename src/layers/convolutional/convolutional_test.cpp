#include <gtest/gtest.h>

#include "layers/convolutional/convolutional_ref.h"
#include "nn/normalize_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::check_layer;
using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> p, const Shape& out, bool training) {
  const auto& conv = static_cast<const Convolutional&>(layer);
  const std::vector<double> weights = conv.norm().standardize ? standardize_ref(p.back(), static_cast<size_t>(out.c)) : p.back();
  std::vector<double> y = convolution_ref(conv.spec(), x[0].shape, out, x[0].v, weights);
  normalize_ref<double>(conv.norm(), out, y, p[0], p.subspan(1), !training, conv.activation());
  return y;
}

void check(const std::string& keys, const std::vector<Shape>& shapes, testing::CheckOptions options = {}) {
  check_layer("[convolutional]\n" + keys, shapes, reference, options);
}

TEST(convolutional, bias_only) {
  check("filters=16\nsize=3\npad=1\nactivation=linear", {{2, 16, 6, 5}});
  check("filters=21\nsize=1\nactivation=linear", {{2, 10, 4, 4}});
  check("filters=5\nsize=3\npad=1\nactivation=leaky", {{2, 20, 5, 7}});
}

TEST(convolutional, first_layer_reads_plain_input) {
  check("filters=8\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=leaky", {{2, 3, 9, 8}});
  check("filters=16\nsize=7\nstride=2\npad=1\nactivation=linear", {{1, 1, 12, 12}});
}

TEST(convolutional, batch_normalize) {
  check("filters=16\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky", {{3, 16, 5, 6}});
  check("filters=20\nsize=1\nbatch_normalize=1\nactivation=mish", {{2, 24, 5, 5}});
  check("filters=10\nsize=1\nbatch_normalize=1\nactivation=linear", {{2, 16, 3, 3}});
}

// Kinds whose statistics are one image's: the same kernel trains and infers.
TEST(convolutional, normalizes_each_image_alone) {
  for (const char* norm : {"gn\nnorm_groups=4", "gn", "ln", "in", "lnc", "frn"})
    for (const char* activation : {"linear", "mish"}) {
      check(concat("filters=20\nsize=3\npad=1\nactivation=", activation, "\nnorm=", norm), {{3, 16, 5, 6}});
      check(concat("filters=16\nsize=3\nstride=2\npad=1\nactivation=", activation, "\nnorm=", norm), {{2, 3, 9, 8}});
    }
}

TEST(convolutional, standardizes_its_weights) {
  for (const char* norm : {"gn\nnorm_groups=4", "bn", "none"}) {
    check(concat("filters=20\nsize=3\npad=1\nweight_standardize=1\nactivation=leaky\nnorm=", norm), {{2, 16, 5, 6}});
    check(concat("filters=12\nsize=1\ngroups=2\nweight_standardize=1\nactivation=linear\nnorm=", norm), {{2, 8, 5, 6}});
  }
}

// More images than are convolved at a time.
TEST(convolutional, many_images) {
  for (const char* norm : {"gn", "bn", "lnc"})
    check(concat("filters=9\nsize=3\npad=1\nweight_standardize=1\nactivation=leaky\nnorm=", norm), {{35, 8, 3, 4}});
}

TEST(convolutional, groups_and_depthwise) {
  check("filters=32\nsize=3\npad=1\ngroups=2\nbatch_normalize=1\nactivation=leaky", {{2, 32, 5, 5}});
  check("filters=16\nsize=3\npad=1\ngroups=4\nactivation=linear", {{2, 16, 5, 5}});
  check("filters=24\nsize=3\npad=1\ngroups=24\nbatch_normalize=1\nactivation=swish", {{2, 24, 5, 6}});
  check("filters=6\nsize=3\npad=1\ngroups=3\nactivation=linear", {{1, 9, 5, 6}});
}

TEST(convolutional, strides_padding_dilation_even_kernel) {
  check("filters=8\nsize=3\nstride_x=2\nstride_y=1\npad=1\nactivation=linear", {{1, 8, 8, 9}});
  check("filters=8\nsize=3\nstride=2\npadding=2\nactivation=linear", {{1, 8, 7, 8}});
  check("filters=8\nsize=2\npad=1\nactivation=linear", {{1, 8, 5, 5}});
  check("filters=8\nsize=4\nstride=2\npad=1\nactivation=linear", {{1, 8, 9, 8}});
  check("filters=8\nsize=3\npad=1\ndilation=2\nactivation=linear", {{1, 8, 8, 8}});
  check("filters=8\nsize=1\nstride=2\nactivation=linear", {{1, 8, 8, 7}});
}

TEST(convolutional, winograd) {
  testing::CheckOptions options;
  options.convolution = cpu::ConvAlgorithm::winograd;
  options.gradient_tolerance = 3e-4;
  options.forward_tolerance = 3e-5;
  check("filters=32\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky", {{2, 32, 12, 12}}, options);
  check("filters=16\nsize=3\npad=1\nactivation=linear", {{1, 16, 13, 10}}, options);
}

// Every activation, with the reference's true derivative; inputs stay clear of kinks by the seed.
TEST(convolutional, every_activation) {
  for (const std::string_view name : activation_names()) {
    testing::CheckOptions options;
    options.probes = 24;
    options.bf16 = name != "stair" && name != "hardtan" && name != "lhtan";   // a rounded z may lie beyond a step of their slope
    check(concat("filters=12\nsize=1\nbatch_normalize=1\nactivation=", name), {{2, 8, 4, 4}}, options);
    check(concat("filters=12\nsize=1\nactivation=", name), {{2, 8, 4, 4}}, options);
  }
}

TEST(convolutional, refuses_what_does_not_fit) {
  const auto layer = testing::parse_layer("[convolutional]\nfilters=8\nsize=5\ngroups=4", 1);
  const Shape narrow[] = {{1, 8, 3, 3}}, odd[] = {{1, 6, 9, 9}};
  EXPECT_THROW(layer->output_shape(narrow), Error);
  EXPECT_THROW(layer->output_shape(odd), Error);
  EXPECT_THROW(testing::parse_layer("[convolutional]\nfilters=6\ngroups=4", 1), Error);
  const Shape fits[] = {{1, 8, 9, 9}}, point[] = {{4, 8, 1, 1}};
  EXPECT_THROW(testing::parse_layer("[convolutional]\nfilters=6\nnorm=gn\nnorm_groups=4", 1)->output_shape(fits), Error);
  for (const char* norm : {"in", "frn", "gn\nnorm_groups=6"})
    EXPECT_THROW(testing::parse_layer(concat("[convolutional]\nfilters=6\nnorm=", norm), 1)->output_shape(point), Error) << norm;
  EXPECT_NO_THROW(testing::parse_layer("[convolutional]\nfilters=6\nnorm=ln", 1)->output_shape(point));
}

}  // namespace
}  // namespace dn
