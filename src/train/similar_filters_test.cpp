// Similar filters: which layers are looked at, which pair is found, what becomes of it.
#include "train/similar_filters.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace dn {
namespace {

Network network() {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\nfilters=";
  Network net = Network::from_text(
      concat("[net]\nbatch=4\nwidth=32\nheight=32\nmax_batches=100\nweights_reject_freq=10\n", conv, "9\n", conv, "9\n", conv, "33\n",
             "[convolutional]\nsize=1\nfilters=33\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=8,8, 16,16, 32,32\nclasses=6\nnum=3\n"));
  net.params().initialize(1);
  return net;
}

const ParamSegment& weights(const Network& net, int layer) { return *net.params().of_layer(layer).back(); }

std::span<float> filter(Network& net, int layer, size_t f) {
  const ParamSegment& segment = weights(net, layer);
  const size_t each = segment.spec.count / segment.spec.shape[0];
  return net.params().values(segment).subspan(f * each, each);
}

void make_alike(Network& net, int layer, size_t a, size_t b) {
  std::ranges::transform(filter(net, layer, a), filter(net, layer, b).begin(), [](float v) { return 3 * v; });
}

TEST(similar_filters, one_of_the_pair_starts_anew) {
  bool first = false, second = false;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Network net = network();
    for (const int layer : {0, 1, 3}) make_alike(net, layer, 2, 8);  // the first layer and the one before the head are no hidden ones
    Optimizer optimizer(net.params(), {});
    std::ranges::fill(optimizer.velocity(), 1.f);
    const std::vector<float> before(net.params().values().begin(), net.params().values().end());
    const uint64_t version = net.params().version();
    const auto renewed = renew_similar_filters(net, optimizer, 10, seed, 0, 2);
    ASSERT_EQ(renewed.size(), 1u);
    EXPECT_EQ(renewed[0].layer, 1);
    EXPECT_NEAR(renewed[0].cosine, 1, 1e-6);
    EXPECT_EQ(renewed[0].filter + renewed[0].like, 10u);
    EXPECT_GT(net.params().version(), version);
    (renewed[0].filter == 2 ? first : second) = true;
    const std::span<float> changed = filter(net, 1, renewed[0].filter);
    const auto begin = static_cast<size_t>(changed.data() - net.params().values().data());
    for (size_t i = 0; i < before.size(); ++i) {
      const bool inside = i >= begin && i < begin + changed.size();
      EXPECT_EQ(net.params().values()[i] != before[i], inside) << i;
      EXPECT_EQ(optimizer.velocity()[i], inside ? 0.f : 1.f) << i;
    }
    const double range = weights(net, 1).spec.init_range;
    for (const float v : changed) EXPECT_LE(std::abs(static_cast<double>(v)), range);
  }
  EXPECT_TRUE(first && second);  // a coin decides
}

TEST(similar_filters, unlike_ones_and_frozen_layers_stay) {
  Network net = network();
  Optimizer optimizer(net.params(), {});
  EXPECT_TRUE(renew_similar_filters(net, optimizer, 10, 1, 0, 1).empty());
  std::ranges::transform(filter(net, 1, 2), filter(net, 1, 8).begin(), [](float v) { return -v; });  // opposite is not alike
  std::ranges::fill(filter(net, 1, 0), 0.f);
  std::ranges::fill(filter(net, 1, 1), 0.f);
  EXPECT_TRUE(renew_similar_filters(net, optimizer, 10, 1, 0, 1).empty());
  make_alike(net, 1, 5, 6);
  EXPECT_TRUE(renew_similar_filters(net, optimizer, 10, 1, 2, 1).empty());
  EXPECT_EQ(renew_similar_filters(net, optimizer, 10, 1, 1, 1).size(), 1u);
}

TEST(similar_filters, threads_and_repetition_change_nothing) {
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 7, 1}) {
    Network net = network();
    make_alike(net, 1, 0, 8);
    make_alike(net, 2, 16, 32);
    make_alike(net, 2, 1, 3);  // as similar: the first pair counts
    Optimizer optimizer(net.params(), {});
    const auto renewed = renew_similar_filters(net, optimizer, 20, 5, 0, threads);
    ASSERT_EQ(renewed.size(), 2u);
    results.emplace_back(net.params().values().begin(), net.params().values().end());
    EXPECT_EQ(results.back(), results.front()) << threads;
  }
}

TEST(similar_filters, are_due_in_the_first_three_quarters) {
  const Network net = network();
  for (int64_t i = 1; i <= 100; ++i) EXPECT_EQ(similar_filters_due(net.spec(), i), i % 10 == 0 && i < 75) << i;
}

}  // namespace
}  // namespace dn
