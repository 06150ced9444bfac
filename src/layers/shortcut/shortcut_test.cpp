// [shortcut] against its reference and differences: several sources, different channel counts, every activation, learned weights and the exact
// derivative of their normalization; what it asks to be kept; refusals.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "layers/shortcut/mix_weights.h"
#include "layers/shortcut/shortcut_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> params, const Shape&, bool) {
  std::vector<Shape> shapes;
  std::vector<std::vector<double>> values;
  for (const RefTensor& t : x) {
    shapes.push_back(t.shape);
    values.push_back(t.v);
  }
  return shortcut_reference<double>(static_cast<const Shortcut&>(layer), shapes, values, params.empty() ? std::vector<double>{} : params[0]);
}

void check(const std::string& keys, const std::vector<Shape>& shapes) { testing::check_layer("[shortcut]\n" + keys, shapes, reference); }

std::string error_of(const std::string& keys, const std::vector<Shape>& shapes) { return testing::layer_error("[shortcut]\n" + keys, shapes); }

const std::string kPerFeature = "\nweights_type=per_feature\nweights_normalization=";
const std::string kPerChannel = "\nweights_type=per_channel\nweights_normalization=";

TEST(shortcut, sum_of_two) {
  check("from=-2", {{2, 16, 4, 5}, {2, 16, 4, 5}});
  check("from=0\nactivation=linear", {{2, 20, 4, 5}, {2, 8, 9, 9}, {2, 20, 4, 5}});
  check("from=-2", {{1, 3, 30, 31}, {1, 3, 30, 31}});  // more than one piece of pixels
  check("from=-1", {{1, 10, 3, 3}});
}

TEST(shortcut, several_sources) {
  check("from=-2,-3,-4", {{2, 16, 4, 5}, {2, 16, 4, 5}, {2, 16, 4, 5}, {2, 16, 4, 5}});
  check("from=-2,-3\nactivation=leaky", {{1, 10, 4, 5}, {1, 10, 4, 5}, {1, 10, 4, 5}});
  check("from=-2,-3,-4,-5\nactivation=mish", {{2, 12, 4, 5}, {2, 20, 4, 5}, {2, 12, 4, 5}, {2, 4, 4, 5}, {2, 12, 4, 5}});
}

TEST(shortcut, different_channels) {
  check("from=-2", {{2, 16, 4, 3}, {2, 32, 4, 3}});
  check("from=-2", {{2, 32, 4, 3}, {2, 16, 4, 3}});
  check("from=-2", {{1, 10, 4, 3}, {1, 20, 4, 3}});
  check("from=-2", {{1, 40, 4, 3}, {1, 20, 4, 3}});
  check("from=-2,-3\nactivation=mish", {{1, 3, 4, 3}, {1, 40, 4, 3}, {1, 20, 4, 3}});
  check("from=-2" + kPerChannel + "relu", {{1, 40, 4, 3}, {1, 20, 4, 3}});
  check("from=-2" + kPerChannel + "softmax", {{2, 3, 4, 3}, {2, 20, 4, 3}});
}

TEST(shortcut, different_sizes) {
  check("from=-2", {{2, 16, 8, 6}, {2, 32, 4, 3}});
  check("from=-2\nactivation=leaky", {{2, 20, 7, 9}, {2, 40, 4, 5}});  // as a convolution with stride 2 leaves them
  check("from=-2\nactivation=mish", {{1, 10, 7, 9}, {1, 10, 3, 4}});
  check("from=-2", {{2, 32, 9, 12}, {2, 16, 3, 4}});
  check("from=-2\nactivation=leaky", {{2, 16, 3, 4}, {2, 20, 6, 8}});
  check("from=-2\nactivation=mish", {{1, 16, 3, 4}, {1, 10, 5, 7}});
  check("from=-2,-3\nactivation=mish" + kPerChannel + "relu", {{2, 16, 8, 8}, {2, 8, 4, 4}, {2, 16, 4, 4}});
  check("from=-2,-3" + kPerFeature + "softmax", {{2, 16, 2, 2}, {2, 24, 8, 8}, {2, 16, 4, 4}});
}

TEST(shortcut, sampling_steps) {
  const auto step = [](int h, int w, int oh, int ow) { return sampling_step({1, 8, h, w}, {1, 8, oh, ow}); };
  EXPECT_EQ(step(56, 56, 28, 28), 2);
  EXPECT_EQ(step(28, 28, 28, 28), 1);
  EXPECT_EQ(step(13, 1, 26, 2), -2);
  EXPECT_EQ(step(19, 19, 10, 10), 2);
  EXPECT_EQ(step(2, 1, 1, 1), 2);
  EXPECT_EQ(step(8, 4, 4, 8), 0);
  EXPECT_EQ(step(8, 8, 4, 2), 0);
  EXPECT_EQ(step(10, 10, 9, 9), 0);
}

TEST(shortcut, every_activation) {
  for (const std::string_view name : activation_names()) {
    check(concat("from=-2\nactivation=", name), {{1, 10, 5, 4}, {1, 10, 5, 4}});
    check(concat("from=-2\nactivation=", name) + kPerChannel + "softmax", {{1, 20, 3, 4}, {1, 20, 3, 4}});
  }
}

TEST(shortcut, learned_weights) {
  const std::vector<Shape> three{{2, 20, 4, 5}, {2, 20, 4, 5}, {2, 20, 4, 5}};
  for (const std::string& type : {kPerFeature, kPerChannel})
    for (const std::string norm : {"relu", "softmax", "avg_relu"}) {
      check("from=-2,-3" + type + norm, three);
      check("from=-2,-3\nactivation=leaky" + type + norm, three);
    }
  check("from=-2\nactivation=mish\nweights_type=per_layer\nweights_normalization=softmax", {{3, 16, 6, 6}, {3, 16, 6, 6}});
  check("from=-2" + kPerFeature + "relu", {{2, 8, 30, 33}, {2, 8, 30, 33}});
  check("from=-2,-3\nactivation=swish" + kPerChannel + "relu", {{2, 76, 24, 23}, {2, 76, 24, 23}, {2, 76, 24, 23}});   // more than a piece of pixels, and of channels
}

TEST(shortcut, parameters_are_clamped_and_do_not_decay) {
  const Shape in[] = {{1, 20, 4, 4}, {1, 20, 4, 4}, {1, 20, 4, 4}};
  const auto per_channel = testing::parse_layer("[shortcut]\nfrom=-2,-3" + kPerChannel + "relu", 3)->params(in);
  ASSERT_EQ(per_channel.size(), 1u);
  EXPECT_EQ(per_channel[0].count, 60u);
  EXPECT_EQ(per_channel[0].clip_gradient, 1);
  EXPECT_FALSE(per_channel[0].decays);
  EXPECT_EQ(per_channel[0].init, Init::one);
  EXPECT_EQ(testing::parse_layer("[shortcut]\nfrom=-2,-3" + kPerFeature + "relu", 3)->params(in)[0].count, 3u);
  EXPECT_TRUE(testing::parse_layer("[shortcut]\nfrom=-2,-3", 3)->params(in).empty());
}

// The normalization's derivative against differences, also below relu's floor and where one weight dominates.
TEST(shortcut, normalization_gradient) {
  Rng rng(3, RandomUse::test);
  for (const MixNorm norm : {MixNorm::relu, MixNorm::softmax})
    for (int trial = 0; trial < 50; ++trial) {
      std::vector<double> w(4), dg(4), dw(4), above(4), below(4);
      for (double& v : w) v = rng.uniform(-1, 3);
      for (double& v : dg) v = rng.uniform(-1, 1);
      mix_weights_gradient(norm, w, dg, dw);
      for (size_t k = 0; k < w.size(); ++k) {
        const double h = 1e-6, value = w[k];
        w[k] = value + h;
        mix_weights(norm, w, above);
        w[k] = value - h;
        mix_weights(norm, w, below);
        w[k] = value;
        double expected = 0;
        for (size_t s = 0; s < w.size(); ++s) expected += dg[s] * (above[s] - below[s]) / (2 * h);
        EXPECT_NEAR(dw[k], expected, 1e-8) << (norm == MixNorm::relu ? "relu" : "softmax") << " weight " << value;
      }
    }
}

TEST(shortcut, equal_weights_share_equally) {
  std::vector<double> g(3);
  mix_weights(MixNorm::relu, std::vector<double>{.7, .7, .7}, g);
  EXPECT_NEAR(g[0], .7 / (2.1 + 1e-4), 1e-12);
  mix_weights(MixNorm::softmax, std::vector<double>{5, 5, 5}, g);
  EXPECT_NEAR(g[1], 1 / (3 + 1e-4), 1e-12);
  mix_weights(MixNorm::relu, std::vector<double>{-1, 1, 1}, g);
  EXPECT_NEAR(g[0], 1e-3 / (2.001 + 1e-4), 1e-12);
}

TEST(shortcut, needs) {
  const TensorDesc t{{1, 16, 4, 4}, 8};
  cpu::Device device({.threads = 1, .block = 8});
  const auto needs = [&](const std::string& keys, bool frozen) {
    const auto layer = testing::parse_layer("[shortcut]\nfrom=-2" + keys, 2);
    const KernelArgs args{
        .x = {t, t}, .y = t, .training = true, .backward = true, .frozen = frozen, .dx = {Write::overwrite, Write::overwrite}};
    return testing::compile_layer(*layer, device, args)->needs();
  };
  EXPECT_FALSE(needs("", false).x_in_backward || needs("", false).y_in_backward);
  EXPECT_TRUE(needs("\nactivation=leaky", false).y_in_backward);
  EXPECT_FALSE(needs("\nactivation=leaky", false).x_in_backward);
  EXPECT_TRUE(needs("\nactivation=mish", false).x_in_backward);
  EXPECT_TRUE(needs(kPerFeature + "relu", false).x_in_backward);
  EXPECT_FALSE(needs(kPerFeature + "relu", true).x_in_backward);
}

TEST(shortcut, refusals) {
  const std::vector<Shape> two{{1, 8, 4, 4}, {1, 8, 3, 4}};
  EXPECT_NE(error_of("from=-2", two).find("from = -2: layer 0 gives 4 x 4 x 8 and layer 1 before gives 4 x 3 x 8"), std::string::npos);
  EXPECT_NE(error_of("", two).find("'from' is missing"), std::string::npos);
  EXPECT_NE(error_of("from=-7", two).find("-7 is not an earlier layer"), std::string::npos);
  EXPECT_NE(error_of("from=-1\nactivation=foo", two).find("activation = foo"), std::string::npos);
  EXPECT_NE(error_of("from=-1\nweights_type=per_channel", two).find("weights must be normalized"), std::string::npos);
  EXPECT_NE(error_of("from=-1", {}).find("first layer"), std::string::npos);
}

TEST(shortcut, sources_and_summary) {
  const auto layer = testing::parse_layer("[shortcut]\nfrom=-3,2\nactivation=leaky", 8);
  EXPECT_EQ(layer->sources(), (std::vector<int>{7, 5, 2}));
  EXPECT_EQ(layer->summary({}), "+ 5 + 2  leaky");
}

}  // namespace
}  // namespace dn
