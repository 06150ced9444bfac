// What [net] and the layers' keys make of the optimizer, and the words about keys that can do nothing.
#include "train/update_rules.h"

#include <gtest/gtest.h>

#include "train/batch_schedule.h"

namespace dn {
namespace {

Network network(const std::string& net, const std::string& first, const std::string& pool = "", const std::string& last = "") {
  return Network::from_text(concat("[net]\nbatch=16\nsubdivisions=4\nwidth=32\nheight=32\nmax_batches=100\n", net,
                                   "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nfilters=8\n", first, "[maxpool]\nsize=2\nstride=2\n", pool,
                                   "[convolutional]\nsize=1\nfilters=8\n", last),
                            "y.cfg");
}

std::string said_about(const Network& network) {
  ::testing::internal::CaptureStderr();
  optimizer_options(network, 1);
  return ::testing::internal::GetCapturedStderr();
}

TEST(update_rules, come_from_the_cfg) {
  const Network net = network("adam=1\nB1=.8\nB2=.98\neps=1e-5\ndecay=.01\nburn_in=30\n", "learning_rate=.5\nclip=2\ngrad_centr=1\ndont_update=7\n",
                              "", "burnin_update=1.5\n");
  const OptimizerOptions options = optimizer_options(net, 3);
  ASSERT_TRUE(options.adam.has_value());
  EXPECT_EQ(options.adam->beta1, .8);
  EXPECT_EQ(options.adam->beta2, .98);
  EXPECT_EQ(options.adam->eps, 1e-5);
  EXPECT_EQ(options.decay, .01);
  EXPECT_EQ(options.batch, 16);
  EXPECT_EQ(options.threads, 3);
  ASSERT_EQ(options.layers.size(), 3u);
  EXPECT_EQ(options.layers[0].scale, .5f);
  EXPECT_EQ(options.layers[0].clip, 2);
  EXPECT_TRUE(options.layers[0].centralize);
  EXPECT_EQ(options.layers[0].first_update, 8);  // seven iterations without
  EXPECT_EQ(options.layers[2].first_update, 45);
  EXPECT_FALSE(options.layers[2].centralize);
  EXPECT_FALSE(optimizer_options(network("", ""), 1).adam.has_value());
  EXPECT_EQ(optimizer_options(network("", ""), 1).layers[0].first_update, 0);
}

TEST(update_rules, keys_without_effect_are_mentioned) {
  EXPECT_EQ(said_about(network("burn_in=10\n", "clip=1\ngrad_centr=1\ndont_update=3\nburnin_update=2\nlearning_rate=2\n")), "");
  const std::string pool = said_about(network("", "", "clip=1\ndont_update=3\nburnin_update=2\nlearning_rate=2\ngrad_centr=1\n"));
  for (const char* key : {"clip = 1", "dont_update = 3", "burnin_update = 2", "learning_rate = 2", "grad_centr = 1"})
    EXPECT_NE(pool.find(concat("[maxpool] ", key, ": changes nothing: ")), std::string::npos) << key << " in " << pool;
  EXPECT_NE(said_about(network("", "burnin_update=2\n")).find("[net] has no burn_in"), std::string::npos);
  EXPECT_NE(said_about(network("", "", "", "grad_centr=1\n")).find("not normalized"), std::string::npos);
}

TEST(update_rules, mini_batches_grow_where_inputs_are_small) {
  NetSpec net;
  net.batch = 48;
  net.subdivisions = 12;
  const NetSize largest{608, 608};
  EXPECT_EQ(mini_batch_at(net, {320, 320}, largest), 4);
  net.dynamic_minibatch = true;
  EXPECT_EQ(mini_batch_at(net, largest, largest), 4);
  EXPECT_EQ(mini_batch_at(net, {576, 576}, largest), 4);
  EXPECT_EQ(mini_batch_at(net, {320, 320}, largest), 8);   // .8 x 14.4: 11, of the divisors of 48: 8
  EXPECT_EQ(mini_batch_at(net, {256, 320}, largest), 12);  // 14
  EXPECT_EQ(mini_batch_at(net, {32, 32}, largest), 48);    // at most the batch
  net.time_steps = 2;
  EXPECT_EQ(mini_batch_at(net, {32, 32}, largest), 4);
  net.time_steps = 1;
  net.norm.scope = "batch";
  EXPECT_EQ(mini_batch_at(net, {320, 320}, largest), 48);
  const auto steps = batch_schedule(NetSpec{}, 6);
  EXPECT_EQ(steps.size(), 6u);
  EXPECT_EQ(steps.back().mini_batch, 5);
}

}  // namespace
}  // namespace dn
