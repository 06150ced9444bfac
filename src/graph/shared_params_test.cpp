// share_index: layers that compute with one set of parameters get the sum of their gradients into it, and it is counted, updated and stored once.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "data/test_folder.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "tests/harness/weights.h"

namespace dn {
namespace {

std::string net_text(const std::string& shared, const std::string& norm = "batch_normalize=1\n", const std::string& extra = {}) {
  const std::string conv = "[convolutional]\n" + norm + "size=3\npad=1\nactivation=mish\nfilters=8\n";
  return "[net]\nbatch=4\nsubdivisions=2\nwidth=16\nheight=16\nchannels=3\n" + extra + conv +
         conv +                                    // 1
         conv + shared +                           // 2
         "[maxpool]\nsize=2\nstride=2\n" +        // 3
         conv + shared +                           // 4
         "[convolutional]\nsize=1\nfilters=14\nactivation=linear\n[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=5\n";
}

// Gradients of a batch of 4 in two parts.
void train_once(Network& network, const Frozen& frozen = {}) {
  cpu::Device device({.threads = 2, .block = 0, .convolution = cpu::ConvAlgorithm::direct});
  Plan plan(network, device, network.input(2), {.training = true, .frozen = frozen});
  std::vector<float> images(network.input(4).count());
  Rng rng(1, RandomUse::test);
  for (float& v : images) v = static_cast<float>(rng.uniform());
  const std::vector<std::vector<TruthBox>> truth(2, {{{.4f, .5f, .3f, .4f}, 1}});
  for (int m = 0; m < 2; ++m) {
    const Pass pass{.training = true, .param_grads = m == 0 ? Write::overwrite : Write::accumulate, .micro_step = m, .micro_steps = 2, .truth = truth};
    plan.set_input(images.data() + static_cast<size_t>(m) * network.input(2).count());
    plan.forward(pass);
    plan.backward(pass);
  }
}

const ParamSegment& segment(const Network& network, int layer, std::string_view name) {
  for (const ParamSegment* s : network.params().of_layer(layer))
    if (s->spec.name == name) return *s;
  throw Error(concat("layer ", layer, " has no ", name));
}

// The same network whose layers have their own, equal parameters: its gradients add up to those of the shared ones.
TEST(shared_params, gradients_are_the_sum_over_the_layers) {
  for (const std::string norm : {"batch_normalize=1\n", "", "norm=gn\nnorm_groups=2\n"}) {
    Network shared = Network::from_text(net_text("share_index=1\n", norm)), own = Network::from_text(net_text("", norm));
    own.params().initialize(3);
    for (const ParamSegment& s : shared.params().segments()) std::ranges::copy(own.params().values(segment(own, s.layer, s.spec.name)), shared.params().values(s).begin());
    for (const ParamSegment& s : own.params().segments())
      if (s.layer == 2 || s.layer == 4) std::ranges::copy(own.params().values(segment(own, 1, s.spec.name)), own.params().values(s).begin());
    shared.params().touch(), own.params().touch();
    train_once(shared), train_once(own);
    for (const ParamSegment& s : shared.params().segments()) {
      if (!s.trained()) continue;
      const auto got = shared.params().grads(s);
      std::vector<double> expected(got.size());
      for (const int layer : s.layer == 1 ? std::vector<int>{1, 2, 4} : std::vector<int>{s.layer}) {
        const auto part = own.params().grads(segment(own, layer, s.spec.name));
        for (size_t i = 0; i < part.size(); ++i) expected[i] += part[i];
      }
      double largest = 0;
      for (const double v : expected) largest = std::max(largest, std::abs(v));
      EXPECT_GT(largest, 0) << s.layer << " " << s.spec.name;
      for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-5 * largest) << norm << s.layer << " " << s.spec.name << "[" << i << "]";
    }
  }
}

TEST(shared_params, relative_chained_and_counted_once) {
  const Network own = Network::from_text(net_text("")), absolute = Network::from_text(net_text("share_index=1\n"));
  EXPECT_LT(absolute.params().count(), own.params().count());
  EXPECT_TRUE(absolute.params().of_layer(2).empty());
  EXPECT_EQ(absolute.params().used_by(4), absolute.params().of_layer(1));
  std::string text = net_text("");
  text.replace(text.find("filters=8", text.find("filters=8", text.find("filters=8") + 9) + 9), 9, "filters=8\nshare_index=-1");
  text.replace(text.rfind("filters=8"), 9, "filters=8\nshare_index=2");   // through layer 2, which has none of its own
  const Network chained = Network::from_text(text);
  EXPECT_EQ(chained.params().count(), absolute.params().count());
  EXPECT_EQ(chained.params().owner(4), 1);
}

TEST(shared_params, stored_once) {
  const test::TestFolder folder("shared_params");
  Network from = testing::random_network(net_text("share_index=1\n"), 4);
  from.params().norm_state(4).updates = 7;   // those of layer 1
  size_t floats = 0;
  for (const ParamSegment& s : from.params().segments()) floats += s.spec.count;
  for (const char* name : {"shared.weights", "shared.safetensors"}) {
    save_weights(from, folder / name, 64, 100);
    Network to = testing::random_network(net_text("share_index=1\n"), 5);
    EXPECT_TRUE(load_weights(to, folder / name).complete());
    EXPECT_EQ(testing::values(to), testing::values(from));
    EXPECT_TRUE(to.params().has_statistics(1));
  }
  EXPECT_EQ(fs::file_size(folder / "shared.weights"), 20 + 4 * floats);
}

// Running statistics move once for every layer that meets a mini-batch.
TEST(shared_params, statistics_are_shared_too) {
  Network network = Network::from_text(net_text("share_index=1\n"));
  network.params().initialize(3);
  train_once(network);
  EXPECT_EQ(network.params().norm_updates(1), 2 * 3);
  EXPECT_EQ(network.params().norm_updates(4), network.params().norm_updates(1));
  EXPECT_EQ(network.params().norm_updates(0), 2);
}

// A layer that no gradient reaches still has the gradients of those that share with it.
TEST(shared_params, a_frozen_owner_gets_the_gradients_of_the_others) {
  Network network = Network::from_text(net_text("share_index=1\n"));
  network.params().initialize(3);
  train_once(network, {2, 2});
  double sum = 0;
  for (const float g : network.params().grads(segment(network, 1, "weights"))) sum += std::abs(static_cast<double>(g));
  EXPECT_GT(sum, 0);
  for (const float g : network.params().grads(segment(network, 0, "weights"))) EXPECT_EQ(g, 0);
}

TEST(shared_params, refusals_name_both_layers) {
  const auto error_of = [](const std::string& text) {
    try {
      Network::from_text(text, "y.cfg");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const std::string other = error_of(net_text("share_index=0\n"));   // 3 input channels, not 8
  EXPECT_NE(other.find("[convolutional] share_index = 0: layer 2 is [convolutional] with 8 biases, 8 scales, 8 rolling_mean, 8 rolling_variance, 576 weights "
                       "(8 x 8 x 3 x 3), but layer 0 (y.cfg:7: [convolutional]) is [convolutional] with"), std::string::npos) << other;
  std::string pool = net_text("");
  pool.replace(pool.rfind("filters=8"), 9, "filters=8\nshare_index=3");
  EXPECT_NE(error_of(pool).find("layer 3 (y.cfg:"), std::string::npos) << error_of(pool);
  EXPECT_NE(error_of(net_text("share_index=1\n", "batch_normalize=1\n", "norm_scope=window\n")).find("norm_scope = window"), std::string::npos);
  std::string wider = net_text("share_index=1\n");
  wider.replace(wider.rfind("filters=8\nshare_index=1"), 23, "filters=16\nshare_index=1");
  EXPECT_NE(error_of(wider).find("share_index = 1: layer 4 is [convolutional] with 16 biases"), std::string::npos) << error_of(wider);
}

}  // namespace
}  // namespace dn
