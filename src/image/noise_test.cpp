// The noise against its plain double form, its distribution, and that it depends on the key and the place only.
#include "image/noise.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>

namespace dn {
namespace {

TEST(image, NoiseMatchesItsReference) {
  for (int64_t rest = hwy::SupportedTargets(); rest != 0; rest &= rest - 1) {
    const int64_t target = rest & -rest;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    for (const int width : {1, 7, 33, 128}) {
      std::vector<float> got(static_cast<size_t>(3 * 20 * width), .4f), expected = got;
      add_noise(planar(got.data(), width, 20), 3, .1f, 0x123456789abcdefull);
      add_noise_reference(planar(expected.data(), width, 20), 3, .1f, 0x123456789abcdefull);
      for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 2e-6) << hwy::TargetName(target) << " width " << width << " at " << i;
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(image, NoiseIsNormalAndSymmetric) {
  constexpr int kSide = 512;
  std::vector<float> values(static_cast<size_t>(kSide) * kSide, .5f);
  add_noise(planar(values.data(), kSide, kSide), 1, .05f, 99);
  double sum = 0, square = 0, cube = 0, fourth = 0, neighbours = 0;
  const double count = static_cast<double>(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double z = (static_cast<double>(values[i]) - .5) / .05;
    sum += z, square += z * z, cube += z * z * z, fourth += z * z * z * z;
    if (i > 0) neighbours += z * (static_cast<double>(values[i - 1]) - .5) / .05;
  }
  EXPECT_NEAR(sum / count, 0, .01);
  EXPECT_NEAR(square / count, 1, .02);
  EXPECT_NEAR(cube / count, 0, .03);
  EXPECT_NEAR(fourth / count, 3, .1);
  EXPECT_NEAR(neighbours / count, 0, .01);
}

TEST(image, NoisyValuesStayInRange) {
  std::vector<float> values(4096), again;
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 2);
  again = values;
  add_noise(planar(values.data(), 64, 64), 1, .5f, 1);
  for (const float v : values) ASSERT_TRUE(v >= 0 && v <= 1);
  const std::vector<float> first = values;
  values = again;
  add_noise(planar(values.data(), 64, 64), 1, .5f, 1);
  EXPECT_EQ(values, first);
  values = again;
  add_noise(planar(values.data(), 64, 64), 1, .5f, 2);
  EXPECT_NE(values, first);
  values = again;
  add_noise(planar(values.data(), 64, 64), 1, .5f, 1ull << 40);
  EXPECT_NE(values, first);
}

}  // namespace
}  // namespace dn
