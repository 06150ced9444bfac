// The blur against its plain double form on every instruction set, what it keeps, and that it stays in its view.
#include "image/blur.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "base/text.h"

namespace dn {
namespace {

std::vector<float> random_values(size_t count) {
  Rng rng(3, RandomUse::test);
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(rng.uniform());
  return values;
}

void expect_matches(int width, int height, int size, const std::vector<PixelRect>& sharp, const std::string& what) {
  std::vector<float> got = random_values(static_cast<size_t>(3 * width * height)), expected = got;
  blur(planar(got.data(), width, height), 3, size, sharp);
  blur_reference(planar(expected.data(), width, height), 3, size, sharp);
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], 2e-6) << what << " " << width << "x" << height << " window " << size << " at " << i;
}

TEST(image, BlurMatchesItsReference) {
  for (int64_t rest = hwy::SupportedTargets(); rest != 0; rest &= rest - 1) {
    const int64_t target = rest & -rest;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    for (const auto& [width, height] : {std::pair(1, 1), std::pair(3, 40), std::pair(37, 29), std::pair(64, 2)})
      for (const int size : {1, 3, 5, 17, 41})
        expect_matches(width, height, size, {{2, 3, 9, 20}, {-5, -5, 2, 1}, {30, 20, 99, 99}, {8, 8, 8, 30}}, hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(image, GaussianWindowsSumToOne) {
  for (const int size : {1, 3, 17, 99}) {
    const std::vector<float> window = gaussian_window(size);
    ASSERT_EQ(window.size(), static_cast<size_t>(size));
    EXPECT_NEAR(std::accumulate(window.begin(), window.end(), 0.0), 1, 1e-6);
    EXPECT_EQ(window.front(), window.back());
  }
  // size 5: sigma = .3 (2 - 1) + .8 = 1.1; w(1) / w(0) = exp(-1 / 2.42)
  const std::vector<float> five = gaussian_window(5);
  EXPECT_NEAR(five[1] / five[2], std::exp(-1 / 2.42), 1e-6);
}

TEST(image, BlurStaysWithinItsView) {
  std::vector<float> values = random_values(60 * 20);
  const std::vector<float> before = values;
  blur({values.data() + 5 * 60 + 4, 31, 10, 60, 60 * 20}, 1, 7);
  int changed = 0;
  for (size_t y = 0; y < 20; ++y)
    for (size_t x = 0; x < 60; ++x) {
      if (y >= 5 && y < 15 && x >= 4 && x < 35)
        changed += values[y * 60 + x] != before[y * 60 + x];
      else
        ASSERT_EQ(values[y * 60 + x], before[y * 60 + x]) << y << " " << x;
    }
  EXPECT_GT(changed, 300);
}

}  // namespace
}  // namespace dn
