// What each rewriting of weights promises: the same outputs as before, or those of another input.
#include "train/weights_edit.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "nn/norm.h"
#include "tests/harness/weights.h"
#include "train/weights_file.h"

namespace dn {
namespace {

using testing::random_network;
using testing::values;

constexpr std::string_view kCfg =
    "[net]\nbatch=1\nwidth=12\nheight=10\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=1\npad=1\nactivation=leaky\n"
    "# a comment\n"
    "[convolutional]\nbatch_normalize=1\nfilters=6\ngroups=2\nsize=3\nactivation=mish\n"
    "[convolutional]\nfilters=5\nsize=1\nactivation=linear\n"
    "[avgpool]\n"
    "[connected]\nbatch_normalize=1\noutput=4\nactivation=linear\n";

// A cfg in a file of its own, since edits read the text again.
class WeightsEdit : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / concat("dn_edit_", static_cast<int>(::getpid()));
    make_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  Network from_file(std::string_view cfg) {
    write_file(folder_ / "net.cfg", cfg);
    Network network = Network::from_cfg(folder_ / "net.cfg");
    Rng rng(7, RandomUse::test);
    for (const ParamSegment& segment : network.params().segments())
      for (float& v : network.params().values(segment))
        v = static_cast<float>(segment.spec.role == ParamRole::running_variance ? rng.uniform(.2, 2) : rng.uniform(-1, 1));
    network.params().touch();
    return network;
  }

  fs::path folder_;
};

std::vector<float> image(double low, double high) {
  Rng rng(3, RandomUse::test);
  std::vector<float> pixels(3 * 10 * 12);
  for (float& p : pixels) p = static_cast<float>(rng.uniform(low, high));
  return pixels;
}

// The output of one layer as plain [C,H,W].
std::vector<double> output(Network& network, const std::vector<float>& pixels, int layer) {
  cpu::Device device({.threads = 1});
  Plan plan(network, device, network.input(1), PlanOptions{.keep_outputs = true});
  AlignedFloats input(pixels.begin(), pixels.end());
  plan.set_input(input.data());
  Pass pass;
  pass.weights_version = network.params().version();
  plan.forward(pass);
  const Tensor y = plan.output(layer);
  std::vector<double> out;
  for (int c = 0; c < y.desc.shape.c; ++c)
    for (int i = 0; i < y.desc.shape.h; ++i)
      for (int j = 0; j < y.desc.shape.w; ++j) out.push_back(static_cast<double>(y.at(0, c, i, j)));
  return out;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted, double tolerance = 2e-5) {
  ASSERT_EQ(got.size(), wanted.size());
  double largest = 0;
  for (const double w : wanted) largest = std::max(largest, std::abs(w));
  ASSERT_GT(largest, 0);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], wanted[i], tolerance * largest) << i;
}

constexpr int kLast = 4;

TEST_F(WeightsEdit, denormalized_gives_the_same) {
  Network before = from_file(kCfg);
  EditedNetwork after = denormalized(before);
  EXPECT_EQ(after.layers, 3);
  for (const auto& layer : after.network.layers()) EXPECT_FALSE(layer->normalization() && layer->normalization()->any()) << layer->where();
  for (const int layer : {0, 1, 2, kLast}) expect_near(output(after.network, image(0, 1), layer), output(before, image(0, 1), layer));
  // The edited text is a cfg that says the same, comment included.
  EXPECT_NE(after.cfg.find("# a comment"), std::string::npos);
  const Network again = Network::from_text(after.cfg);
  EXPECT_EQ(again.params().count(), after.network.params().count());
}

TEST_F(WeightsEdit, denormalized_by_the_formula) {
  const Network before = from_file(kCfg);
  const EditedNetwork after = denormalized(before);
  const auto of = [](const Network& network, int layer, std::string_view name, size_t at) {
    for (const ParamSegment* s : network.params().of_layer(layer))
      if (s->spec.name == name) return static_cast<double>(network.params().values(*s)[at]);
    ADD_FAILURE() << name;
    return 0.;
  };
  constexpr size_t kFilter = 2, kPerFilter = 27, kWeight = 5;
  const double factor = of(before, 0, "scales", kFilter) / std::sqrt(of(before, 0, "rolling_variance", kFilter) + 1e-5);
  EXPECT_NEAR(of(after.network, 0, "weights", kFilter * kPerFilter + kWeight), of(before, 0, "weights", kFilter * kPerFilter + kWeight) * factor, 1e-6);
  EXPECT_NEAR(of(after.network, 0, "biases", kFilter), of(before, 0, "biases", kFilter) - factor * of(before, 0, "rolling_mean", kFilter), 1e-6);
}

TEST_F(WeightsEdit, normalized_gives_the_same) {
  Network before = from_file(kCfg);
  EditedNetwork after = normalized(before);
  EXPECT_EQ(after.layers, 1);
  EXPECT_TRUE(after.network.layers()[2]->normalization()->any());
  for (const int layer : {2, kLast}) expect_near(output(after.network, image(0, 1), layer), output(before, image(0, 1), layer));
  write_file(folder_ / "net.cfg", after.cfg);
  EXPECT_THROW(normalized(after.network), Error) << "all layers are normalized now";
}

TEST_F(WeightsEdit, there_and_back) {
  Network before = from_file(kCfg);
  const EditedNetwork folded = denormalized(before);
  write_file(folder_ / "net.cfg", folded.cfg);
  EditedNetwork back = normalized(folded.network);
  EXPECT_EQ(back.layers, 4);
  expect_near(output(back.network, image(0, 1), kLast), output(before, image(0, 1), kLast));
}

TEST_F(WeightsEdit, reset_gives_the_same_with_plain_statistics) {
  Network network = from_file(kCfg);
  const std::vector<double> before = output(network, image(0, 1), kLast);
  EXPECT_EQ(reset_normalizations(network), 3);
  expect_near(output(network, image(0, 1), kLast), before);
  for (const ParamSegment& segment : network.params().segments()) {
    const auto v = network.params().values(segment);
    if (segment.spec.name == "scales" || segment.spec.role == ParamRole::running_variance) {
      EXPECT_TRUE(std::ranges::all_of(v, [](float x) { return x == 1; })) << segment.spec.name;
    }
    if (segment.spec.role == ParamRole::running_mean) {
      EXPECT_TRUE(std::ranges::all_of(v, [](float x) { return x == 0; }));
    }
  }
}

TEST_F(WeightsEdit, swapped_red_and_blue_see_a_swapped_image_alike) {
  Network network = from_file(kCfg);
  std::vector<float> pixels = image(0, 1);
  const std::vector<double> before = output(network, pixels, kLast);
  swap_red_and_blue(network);
  const std::vector<double> other = output(network, pixels, kLast);
  EXPECT_GT(std::abs(other[0] - before[0]), 1e-3);
  std::swap_ranges(pixels.begin(), pixels.begin() + 120, pixels.begin() + 240);
  expect_near(output(network, pixels, kLast), before, 1e-6);
}

// At pixels whose window does not reach the padded border, and in layers that are normalized or not.
TEST_F(WeightsEdit, rescaled_takes_images_of_another_range) {
  for (const bool normalize : {true, false}) {
    std::string cfg(kCfg);
    if (!normalize) cfg.replace(cfg.find("batch_normalize=1"), 17, "batch_normalize=0");
    Network network = from_file(cfg);
    std::vector<float> pixels = image(-1, 1);
    const std::vector<double> before = output(network, pixels, 0);
    rescale_input(network);
    for (float& p : pixels) p = (p + 1) / 2;
    const std::vector<double> after = output(network, pixels, 0);
    double border = 0;
    for (size_t c = 0; c < 8; ++c)
      for (size_t y = 0; y < 10; ++y)
        for (size_t x = 0; x < 12; ++x) {
          const size_t at = (c * 10 + y) * 12 + x;
          if (x > 0 && x < 11 && y > 0 && y < 9)
            EXPECT_NEAR(after[at], before[at], 1e-4) << normalize << " " << at;
          else
            border = std::max(border, std::abs(after[at] - before[at]));
        }
    EXPECT_GT(border, 1e-3) << "padding is 0 in both, so a border may not agree; if it does, nothing was rescaled";
  }
}

TEST_F(WeightsEdit, mean_of_networks) {
  const Network a = random_network(kCfg, 1), b = random_network(kCfg, 2), c = random_network(kCfg, 3);
  Network mean = random_network(kCfg, 4);
  std::vector<double> sums;
  for (const Network* network : {&a, &b, &c}) add_parameters(*network, sums);
  set_mean_parameters(mean, sums, 3);
  const auto va = values(a), vb = values(b), vc = values(c), vm = values(mean);
  for (size_t i = 0; i < vm.size(); ++i)
    EXPECT_FLOAT_EQ(vm[i], static_cast<float>((static_cast<double>(va[i]) + static_cast<double>(vb[i]) + static_cast<double>(vc[i])) / 3)) << i;
}

TEST_F(WeightsEdit, what_cannot_be_done_is_said) {
  const auto refusal = [&](std::string cfg, const auto& edit) -> std::string {
    Network network = from_file(cfg);
    try {
      edit(network);
    } catch (const Error& e) {
      return e.what();
    }
    return {};
  };
  const auto fold = [](Network& n) { denormalized(n); };
  std::string group(kCfg);
  group.replace(group.find("batch_normalize=1"), 17, "batch_normalize=1\nnorm=gn\nnorm_groups=2");
  EXPECT_NE(refusal(group, fold).find("norm = gn"), std::string::npos) << refusal(group, fold);
  const std::string plain = "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nfilters=2\n";
  EXPECT_NE(refusal(plain, fold).find("nothing to denormalize"), std::string::npos);
  std::string gray = plain;
  gray.replace(gray.find("channels=3"), 10, "channels=1");
  EXPECT_NE(refusal(gray, swap_red_and_blue).find("3 channels"), std::string::npos);
  EXPECT_NE(refusal(gray, rescale_input).find("3 channels"), std::string::npos);
}

}  // namespace
}  // namespace dn
