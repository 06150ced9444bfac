// The average of the weights against the formula in double, and when it begins, takes over and stands in.
#include "train/weight_average.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace dn {
namespace {

ParamStore store() {
  ParamStore params;
  params.add(0, {"biases", ParamRole::bias, 5, Init::zero});
  params.add(0, {"rolling_mean", ParamRole::running_mean, 5, Init::zero});
  params.add(0, {"weights", ParamRole::weight, 40000, Init::uniform, .5, true});  // more than one piece of work
  params.allocate();
  params.initialize(3);
  return params;
}

void change(ParamStore& params, int64_t iteration) {
  Rng rng(7, RandomUse::test, static_cast<uint64_t>(iteration));
  for (float& w : params.values()) w += static_cast<float>(rng.uniform(-.1, .1));
}

TEST(weight_average, follows_the_formula_from_the_half_on) {
  for (const int threads : {1, 2}) {
    ParamStore params = store();
    WeightAverage average(params, .9, 40, 0, threads);
    EXPECT_EQ(average.begins(), 20);
    EXPECT_EQ(average.takes_over(), 30);
    std::vector<double> expected;
    for (int64_t iteration = 1; iteration < 30; ++iteration) {
      change(params, iteration);
      EXPECT_FALSE(average.update(iteration));
      EXPECT_EQ(average.started(), iteration >= 20);
      if (iteration == 20) expected.assign(params.values().begin(), params.values().end());
      for (size_t i = 0; i < expected.size() && iteration > 20; ++i) expected[i] = .9 * expected[i] + .1 * static_cast<double>(params.values()[i]);
    }
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(static_cast<double>(average.values()[i]), expected[i], 1e-6) << i;
  }
}

TEST(weight_average, takes_over_once) {
  ParamStore params = store();
  WeightAverage average(params, .9, 40, 0, 1);
  int times = 0;
  for (int64_t iteration = 1; iteration <= 40; ++iteration) {
    change(params, iteration);
    const uint64_t version = params.version();
    const bool took = average.update(iteration);
    times += took;
    EXPECT_EQ(took, iteration == 30) << iteration;
    EXPECT_EQ(took, params.version() > version);
    EXPECT_EQ(took || iteration == 20, std::ranges::equal(params.values(), average.values())) << iteration;
  }
  EXPECT_EQ(times, 1);
}

TEST(weight_average, when_it_takes_over) {
  ParamStore params = store();
  EXPECT_EQ(WeightAverage(params, .9, 500000, 0, 1).takes_over(), 499000);  // the family's
  EXPECT_EQ(WeightAverage(params, .9, 4000, 0, 1).takes_over(), 3000);
  EXPECT_EQ(WeightAverage(params, .9, 1500, 0, 1).takes_over(), 1125);  // max_batches - 1000 would be before its beginning
  WeightAverage later(params, .9, 40, 35, 1);                           // a run that goes on behind it
  WeightAverage shortly(params, .9, 40, 29, 1);                         // and one before it
  for (int64_t iteration = 36; iteration <= 40; ++iteration) EXPECT_FALSE(later.update(iteration));
  EXPECT_TRUE(later.started());
  EXPECT_TRUE(shortly.update(30));
}

TEST(weight_average, stands_in_and_gives_back) {
  ParamStore params = store();
  WeightAverage average(params, .5, 4, 0, 1);
  change(params, 1);
  average.update(2);
  const std::vector<float> averaged(average.values().begin(), average.values().end());
  change(params, 2);
  const std::vector<float> weights(params.values().begin(), params.values().end());
  ASSERT_NE(averaged, weights);
  {
    const uint64_t version = params.version();
    const WeightAverage::InPlace in_place(average);
    EXPECT_TRUE(std::ranges::equal(params.values(), averaged));
    EXPECT_GT(params.version(), version);
  }
  EXPECT_TRUE(std::ranges::equal(params.values(), weights));
  EXPECT_TRUE(std::ranges::equal(average.values(), averaged));
}

}  // namespace
}  // namespace dn
