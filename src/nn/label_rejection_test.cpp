#include "nn/label_rejection.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dn {
namespace {

NetSpec net(int equidistant, double percentage, double sigmas) {
  NetSpec spec;
  spec.max_batches = 400;
  spec.equidistant_point = equidistant;
  spec.badlabels_rejection_percentage = percentage;
  spec.num_sigmas_reject_badlabels = sigmas;
  return spec;
}

// One batch of one image through it, with the bounds of that iteration.
DeltaSums batch(LabelRejection& rejection, uint64_t iteration, std::vector<float>& delta) {
  const auto bounds = rejection.bounds(iteration);
  if (!bounds) return {};
  rejection.sums(0, 0, 1)[0] = reject_labels(delta, *bounds);
  return rejection.finish_batch();
}

TEST(label_rejection, wanted_only_with_its_keys) {
  EXPECT_FALSE(LabelRejection::wanted(net(0, 0, 0)));
  EXPECT_TRUE(LabelRejection::wanted(net(5, 0, 0)) && LabelRejection::wanted(net(0, 1, 0)) && LabelRejection::wanted(net(0, 0, 1)));
}

TEST(label_rejection, begins_where_it_should) {
  EXPECT_FALSE(LabelRejection(net(0, 2, 3)).bounds(300));
  EXPECT_TRUE(LabelRejection(net(0, 2, 0)).bounds(301));
  EXPECT_TRUE(LabelRejection(net(0, 0, 3)).bounds(301));
  EXPECT_FALSE(LabelRejection(net(100, 0, 0)).bounds(100));
  EXPECT_TRUE(LabelRejection(net(100, 0, 0)).bounds(101));
}

TEST(label_rejection, first_batch_is_measured_and_sets_the_state) {
  LabelRejection rejection(net(0, 10, 2));
  std::vector<float> delta{0, .5f, -1.5f, 0, 1};
  const DeltaSums sums = batch(rejection, 301, delta);
  EXPECT_EQ(sums.count, 3);
  EXPECT_EQ(sums.left_out, 0);
  EXPECT_EQ(delta, (std::vector<float>{0, .5f, -1.5f, 0, 1}));
  EXPECT_DOUBLE_EQ(rejection.state().maximum, 1.5);
  EXPECT_DOUBLE_EQ(rejection.state().mean, 1);
  EXPECT_NEAR(rejection.state().deviation, std::sqrt((.25 + 0 + .25) / 3), 1e-12);
  EXPECT_DOUBLE_EQ(rejection.state().threshold, 1.5);
}

TEST(label_rejection, state_rolls_by_a_hundredth) {
  LabelRejection rejection(net(0, 0, 2));
  rejection.set_state({2, 1, .5, 0});
  std::vector<float> delta{4, -4};
  batch(rejection, 301, delta);
  EXPECT_NEAR(rejection.state().maximum, .99 * 2 + .01 * 4, 1e-12);
  EXPECT_NEAR(rejection.state().mean, .99 * 1 + .01 * 4, 1e-12);
  EXPECT_NEAR(rejection.state().deviation, .99 * .5, 1e-12);
}

TEST(label_rejection, sigma_threshold_slides_from_the_maximum_to_its_end) {
  LabelRejection rejection(net(0, 0, 3));
  rejection.set_state({5, 1, .5, 0});
  EXPECT_NEAR(rejection.bounds(301)->above, 5 - 2.5 / 100, 1e-6);
  EXPECT_NEAR(rejection.bounds(350)->above, 5 - 2.5 / 2, 1e-6);
  EXPECT_NEAR(rejection.bounds(400)->above, 2.5, 1e-6);
  rejection.set_state({2, 1, .5, 0});  // the end lies above the maximum
  EXPECT_NEAR(rejection.bounds(350)->above, 2.5, 1e-6);
  std::vector<float> delta{2.4f, -2.6f, 0, 1};
  EXPECT_EQ(reject_labels(delta, *rejection.bounds(350)).left_out, 1);
  EXPECT_EQ(delta, (std::vector<float>{2.4f, 0, 0, 1}));
}

// The threshold finds its way to the share that was asked for.
TEST(label_rejection, percentage_is_approached) {
  LabelRejection rejection(net(0, 20, 0));
  double last = 0;
  for (int step = 0; step < 400; ++step) {
    std::vector<float> delta;
    for (int i = 1; i <= 100; ++i) delta.push_back(static_cast<float>(i) * (i % 2 ? -.01f : .01f));
    last = batch(rejection, 301, delta).left_out;
  }
  EXPECT_NEAR(last, 20, 2);
  EXPECT_NEAR(rejection.state().threshold, .8, .02);
}

TEST(label_rejection, equidistant_point_leaves_the_small_ones_out) {
  LabelRejection rejection(net(100, 0, 0));
  rejection.set_state({5, 1, .5, 0});
  EXPECT_NEAR(rejection.bounds(250)->below, .7, 1e-6);
  std::vector<float> delta{.69f, -.71f, -.1f, 50};
  EXPECT_EQ(reject_labels(delta, *rejection.bounds(250)).left_out, 2);
  EXPECT_EQ(delta, (std::vector<float>{0, -.71f, 0, 50}));
}

// However a batch is cut and in whichever order its parts come: the same bits.
TEST(label_rejection, split_and_order_do_not_matter) {
  const auto image = [](int layer, size_t n) {
    std::vector<float> delta;
    for (int i = 0; i < 50; ++i) delta.push_back(std::sin(static_cast<float>(100 * layer + 7 * static_cast<int>(n) + i)) * (i % 3 ? .1f : 3e3f));
    return delta;
  };
  const auto run = [&](const std::vector<std::vector<size_t>>& parts) {
    LabelRejection rejection(net(0, 10, 3));
    for (uint64_t iteration = 301; iteration < 305; ++iteration) {
      for (const auto& part : parts)
        for (const int layer : {7, 3}) {
          const auto sums = rejection.sums(layer, part[0], part.size());
          for (size_t k = part.size(); k-- > 0;) {
            std::vector<float> delta = image(layer, part[k]);
            sums[k] = reject_labels(delta, *rejection.bounds(iteration));
          }
        }
      rejection.finish_batch();
    }
    return rejection.state();
  };
  const auto whole = run({{0, 1, 2, 3}});
  EXPECT_GT(whole.maximum, 0);
  EXPECT_EQ(whole, run({{0, 1}, {2, 3}}));
  EXPECT_EQ(whole, run({{3}, {2}, {1}, {0}}));
}

TEST(label_rejection, a_batch_that_is_not_finite_is_forgotten) {
  LabelRejection rejection(net(0, 10, 0));
  std::vector<float> good{1, 2}, bad{NAN, 1};
  batch(rejection, 301, good);
  const auto before = rejection.state();
  batch(rejection, 302, bad);
  EXPECT_EQ(rejection.state(), before);
}

}  // namespace
}  // namespace dn
