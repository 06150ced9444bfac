// The scale of FP16 gradients: when it moves, how far, and who has one.
#include "train/loss_scale.h"

#include <gtest/gtest.h>

#include "device/cpu/device.h"
#include "tests/harness/gpu.h"

namespace dn {
namespace {

void clean_updates(LossScale& scale, int count) {
  for (int i = 0; i < count; ++i) EXPECT_FALSE(scale.update(true)) << i;
}

TEST(loss_scale, stays_one_where_it_does_not_move) {
  LossScale scale(false);
  clean_updates(scale, 3 * LossScale::kCleanUpdates);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(scale.update(false));
  EXPECT_EQ(scale.value(), 1.f);
}

TEST(loss_scale, is_halved_at_once_and_doubled_after_clean_updates) {
  LossScale scale(true);
  EXPECT_EQ(scale.value(), 1.f);
  EXPECT_TRUE(scale.update(false));
  EXPECT_EQ(scale.value(), .5f);
  EXPECT_TRUE(scale.update(false));
  EXPECT_EQ(scale.value(), .25f);
  clean_updates(scale, LossScale::kCleanUpdates - 1);
  EXPECT_TRUE(scale.update(false));  // the count begins anew
  EXPECT_EQ(scale.value(), .125f);
  clean_updates(scale, LossScale::kCleanUpdates - 1);
  EXPECT_TRUE(scale.update(true));
  EXPECT_EQ(scale.value(), .25f);
  clean_updates(scale, LossScale::kCleanUpdates - 1);
  EXPECT_TRUE(scale.update(true));
  EXPECT_EQ(scale.value(), .5f);
}

TEST(loss_scale, has_a_lowest_and_a_highest_value) {
  LossScale low(true);
  for (int i = 0; i < 24; ++i) EXPECT_TRUE(low.update(false)) << i;
  EXPECT_EQ(low.value(), LossScale::kLowest);
  EXPECT_FALSE(low.update(false));  // now it is divergence
  EXPECT_EQ(low.value(), LossScale::kLowest);
  LossScale high(true);
  for (int i = 0; i < 16 * LossScale::kCleanUpdates; ++i) high.update(true);
  EXPECT_EQ(high.value(), LossScale::kHighest);
  clean_updates(high, 2 * LossScale::kCleanUpdates);
  EXPECT_EQ(high.value(), LossScale::kHighest);
}

TEST(loss_scale, moves_in_fp16_only) {
  EXPECT_FALSE(LossScale::of(cpu::Device({.threads = 1})).update(false));
  for (const auto precision : {cuda::Precision::fp32, cuda::Precision::tf32, cuda::Precision::bf16, cuda::Precision::fp16})
    EXPECT_EQ(LossScale::of(cuda::Device(testing::gpu_options(precision))).update(false), precision == cuda::Precision::fp16);
}

}  // namespace
}  // namespace dn
