// Sampling and colour: the vector forms against the plain double ones, and the properties that training relies on.
#include "image/resize.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>

#include "data/test_folder.h"

namespace dn {
namespace {

using test::noise_image;
using test::plain_image;

std::vector<float> sampled(const Image& image, const Sampling& sampling, int width, int height, bool reference = false) {
  std::vector<float> out(static_cast<size_t>(image.channels * width * height), NAN);
  (reference ? sample_image_reference : sample_image)(image, sampling, planar(out.data(), width, height));
  return out;
}

Sampling whole(const Image& image) {
  Sampling sampling;
  sampling.window = {0, 0, image.width, image.height};
  return sampling;
}

void expect_close(const std::vector<float>& got, const std::vector<float>& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size());
  double largest = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(std::isfinite(got[i])) << what << " at " << i;
    largest = std::max(largest, std::abs(double(got[i]) - double(expected[i])));
  }
  EXPECT_LT(largest, tolerance) << what;
}

void expect_sampling_matches(const std::string& what) {
  const Window windows[] = {{0, 0, 61, 47}, {7, 5, 20, 31}, {-13, -9, 80, 60}, {-70, 3, 30, 20}, {20, 20, 1, 1}, {-5, 40, 300, 200}};
  const Distortion distortions[] = {{}, {.1f, 1.5f, .7f}, {-.1f, .6f, 1.6f}, {.5f, 1, 1}, {-1.7f, 3, 1}};
  int cases = 0;
  for (const int channels : {1, 3})
    for (const Window& window : windows)
      for (const Distortion& distortion : distortions)
        for (const int width : {1, 5, 33, 64, 97})
          for (const int shrink : {1, 2}) {
            const Image image = noise_image((61 + shrink - 1) / shrink, (47 + shrink - 1) / shrink, channels, 1);
            Sampling sampling;
            sampling.window = window;
            sampling.distortion = distortion;
            sampling.flip = ++cases % 2 == 0;
            sampling.shrink = shrink;
            sampling.fill = {20, 130, 240};
            expect_close(sampled(image, sampling, width, 29), sampled(image, sampling, width, 29, true), 2e-5,
                         concat(what, " channels ", channels, " window ", window.left, " ", window.width, " width ", width, " hue ", distortion.hue,
                                " shrink ", shrink));
          }
}

// Each instruction set this machine has, down to the baseline.
TEST(image, SamplingMatchesItsReference) {
  int sets = 0;
  for (int64_t rest = hwy::SupportedTargets(); rest != 0; rest &= rest - 1, ++sets) {
    const int64_t target = rest & -rest;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    expect_sampling_matches(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  EXPECT_GE(sets, 1);
}

TEST(image, SamplingStaysWithinItsView) {
  const Image image = noise_image(50, 40, 3, 2);
  for (const int width : {1, 3, 16, 17, 31}) {
    std::vector<float> out(static_cast<size_t>(3 * 60 * 20), -7);
    PlanarView view{out.data() + 5 * 60 + 4, width, 10, 60, 60 * 20};
    Sampling sampling = whole(image);
    sampling.distortion = {.1f, 1.2f, 1.1f};
    sample_image(image, sampling, view);
    for (size_t c = 0; c < 3; ++c)
      for (int y = 0; y < 20; ++y)
        for (int x = 0; x < 60; ++x) {
          const bool inside = y >= 5 && y < 15 && x >= 4 && x < 4 + width;
          ASSERT_EQ(out[c * 1200 + static_cast<size_t>(y * 60 + x)] != -7, inside) << c << " " << y << " " << x;
        }
  }
}

// A part of the outputs is bit for bit what the whole has there, mirrored or not.
TEST(image, PartsAreThoseOfTheWhole) {
  const Image image = noise_image(61, 47, 3, 7);
  for (const bool flip : {false, true})
    for (const bool reference : {false, true}) {
      Sampling sampling;
      sampling.window = {-9, 4, 70, 50};
      sampling.distortion = {.1f, 1.3f, .8f};
      sampling.flip = flip;
      const std::vector<float> all = sampled(image, sampling, 90, 40, reference);
      sampling.outputs_x = 90, sampling.outputs_y = 40, sampling.x = 31, sampling.y = 13;
      const std::vector<float> part = sampled(image, sampling, 45, 20, reference);
      for (size_t c = 0; c < 3; ++c)
        for (size_t y = 0; y < 20; ++y)
          for (size_t x = 0; x < 45; ++x) ASSERT_EQ(part[(c * 20 + y) * 45 + x], all[(c * 40 + y + 13) * 90 + x + 31]) << c << " " << y << " " << x;
    }
}

TEST(image, SameSizeKeepsPixelsAndFlipMirrors) {
  const Image image = noise_image(33, 21, 3, 3);
  Sampling sampling = whole(image);
  const std::vector<float> plain = sampled(image, sampling, 33, 21);
  sampling.flip = true;
  const std::vector<float> mirrored = sampled(image, sampling, 33, 21);
  for (size_t c = 0; c < 3; ++c)
    for (size_t y = 0; y < 21; ++y)
      for (size_t x = 0; x < 33; ++x) {
        ASSERT_NEAR(plain[(c * 21 + y) * 33 + x], image.pixels[(y * 33 + x) * 3 + c] / 255.0f, 1e-7f);
        ASSERT_EQ(mirrored[(c * 21 + y) * 33 + x], plain[(c * 21 + y) * 33 + 32 - x]);
      }
  for (const float v : plain) ASSERT_TRUE(v >= 0 && v <= 1);
}

TEST(image, AlignCornersByHand) {
  const Image row{3, 1, 1, {0, 100, 200}};
  const std::vector<float> out = sampled(row, whole(row), 5, 1);
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(out[i] * 255, 50.0f * static_cast<float>(i), 1e-4);
}

TEST(image, OutsideOfTheImageIsFilled) {
  const Image image = plain_image(10, 10, {200, 100, 50});
  Sampling sampling;
  sampling.window = {-10, 0, 20, 10};
  sampling.fill = {1, 2, 3};
  const std::vector<float> out = sampled(image, sampling, 20, 10);
  for (size_t x = 0; x < 20; ++x) {
    EXPECT_NEAR(out[x] * 255, x < 10 ? 1 : 200, 1e-4) << x;
    EXPECT_NEAR(out[200 + x] * 255, x < 10 ? 2 : 100, 1e-4) << x;
  }
}

TEST(image, ShrunkImagesSampleTheSamePlaces) {
  // A ramp, and the same ramp averaged over 2x2 as a decoder at half size gives it.
  Image full{80, 60, 1, {}}, half{40, 30, 1, {}};
  for (int y = 0; y < 60; ++y)
    for (int x = 0; x < 80; ++x) full.pixels.push_back(static_cast<uint8_t>(2 * x + y));
  for (int y = 0; y < 30; ++y)
    for (int x = 0; x < 40; ++x) half.pixels.push_back(static_cast<uint8_t>(4 * x + 1 + 2 * y));  // mean of the four: + 1.5, rounded down
  Sampling sampling;
  sampling.window = {10, 5, 50, 40};
  const std::vector<float> expected = sampled(full, sampling, 25, 20);
  sampling.shrink = 2;
  const std::vector<float> got = sampled(half, sampling, 25, 20);
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i] * 255 + .5f, expected[i] * 255, 1e-3);
}

TEST(image, HueWrapsBothWays) {
  // A third of the circle is 120 degrees = 60 of the 179 steps.
  const float third = 60.0f / 179.0f;
  const Image red = plain_image(4, 4, {255, 0, 0});
  Sampling sampling = whole(red);
  sampling.distortion.hue = third;
  std::vector<float> out = sampled(red, sampling, 4, 4);
  EXPECT_NEAR(out[0], 0, 1e-4);
  EXPECT_NEAR(out[16], 1, 1e-4);
  EXPECT_NEAR(out[32], 0, 1e-4);
  sampling.distortion.hue = -third;  // backwards: blue, where saturating arithmetic would have stopped at red
  out = sampled(red, sampling, 4, 4);
  EXPECT_NEAR(out[0], 0, 1e-4);
  EXPECT_NEAR(out[16], 0, 1e-4);
  EXPECT_NEAR(out[32], 1, 1e-4);
}

TEST(image, SaturationAndExposureAreCapped) {
  const Image image = plain_image(4, 4, {200, 150, 100});
  Sampling sampling = whole(image);
  sampling.distortion.exposure = 3;
  std::vector<float> out = sampled(image, sampling, 4, 4);
  EXPECT_NEAR(out[0], 1, 1e-6);
  EXPECT_NEAR(out[16], .75, 1e-5);  // the ratios of the channels stay
  EXPECT_NEAR(out[32], .5, 1e-5);
  sampling.distortion = {0, 10, 1};
  out = sampled(image, sampling, 4, 4);
  EXPECT_NEAR(out[0] * 255, 200, 1e-3);
  EXPECT_NEAR(out[32], 0, 1e-6);
  const Image gray = plain_image(4, 4, {90, 90, 90});
  sampling.distortion = {.3f, 5, 1};
  out = sampled(gray, sampling, 4, 4);
  for (const float v : out) ASSERT_NEAR(v * 255, 90, 1e-3);  // gray has neither hue nor saturation
}

TEST(image, MeanColour) {
  for (const int width : {1, 7, 64, 131}) {
    const Image image = noise_image(width, 9, 3, 5);
    double sums[3] = {};
    for (size_t i = 0; i < image.pixels.size(); ++i) sums[i % 3] += image.pixels[i];
    const std::array<float, 3> mean = mean_colour(image);
    for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(mean[c], sums[c] / (width * 9), 1e-4);
  }
  EXPECT_EQ(mean_colour({2, 1, 1, {10, 20}})[0], 15);
}

TEST(image, PlacementKeepsTheAspect) {
  const Placement wide = place_image(200, 100, 416, 416, true);
  EXPECT_EQ(wide.width, 416);
  EXPECT_EQ(wide.height, 208);
  EXPECT_EQ(wide.left, 0);
  EXPECT_EQ(wide.top, 104);
  const Placement tall = place_image(100, 333, 64, 96, true);
  EXPECT_EQ(tall.height, 96);
  EXPECT_EQ(tall.width, 28);
  EXPECT_EQ(tall.left, 18);
  const Placement line = place_image(16384, 1, 32, 32, true);
  EXPECT_EQ(line.height, 1);
  EXPECT_EQ(place_image(200, 100, 416, 320, false).height, 320);
}

TEST(image, LetterboxIsGrayAroundThePicture) {
  const Image image = plain_image(40, 20, {255, 0, 51});
  std::vector<float> out(static_cast<size_t>(3 * 32 * 32), NAN);
  fill_network_input(image, 32, 32, true, out.data());
  for (size_t c = 0; c < 3; ++c)
    for (size_t y = 0; y < 32; ++y) {
      const float expected = y < 8 || y >= 24 ? .5f : c == 0 ? 1.0f : c == 1 ? 0.0f : .2f;
      ASSERT_NEAR(out[(c * 32 + y) * 32 + 7], expected, 1e-6) << c << " " << y;
    }
}

}  // namespace
}  // namespace dn
