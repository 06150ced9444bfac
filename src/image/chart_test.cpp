#include "image/chart.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace dn {
namespace {

// Pixels of about the colour of the mAP curve, of the average's curve.
size_t reddish(const Image& image, int x0, int x1, int y0, int y1) {
  size_t count = 0;
  for (int y = y0; y < y1; ++y)
    for (int x = x0; x < x1; ++x) {
      const uint8_t* p = &image.pixels[static_cast<size_t>(y) * image.row() + static_cast<size_t>(x) * 3];
      count += p[0] > 190 && p[1] < 110 && p[2] < 80;
    }
  return count;
}

int average_height(const Image& image, int x) {  // lowest y of the dark blue line in column x, or -1
  for (int y = 104; y < 640; ++y) {
    const uint8_t* p = &image.pixels[static_cast<size_t>(y) * image.row() + static_cast<size_t>(x) * 3];
    if (p[0] < 60 && p[1] < 110 && p[2] > 120) return y;
  }
  return -1;
}

ChartData curve(int count, double from, double to) {
  ChartData data;
  data.title = "net.cfg";
  data.max_iterations = count;
  for (int i = 1; i <= count; ++i) data.average_loss.push_back({static_cast<double>(i), from + (to - from) * i / count});
  return data;
}

TEST(Chart, DrawsTheAverageWhereItBelongs) {
  ChartData data = curve(1000, 8, 2);
  data.max_loss = 10;
  const Image image = render_chart(data);
  ASSERT_EQ(image.width, 1000);
  ASSERT_EQ(image.height, 700);
  // Axis: 72..964 over 0..1000 iterations, 640..104 over 0..10. At iteration 500 the average is 5.
  EXPECT_NEAR(average_height(image, 72 + 892 / 2), 640 - 536 / 2, 4);
  EXPECT_EQ(reddish(image, 60, 1000, 100, 660), 0u);
}

TEST(Chart, ScaleFollowsTheMaximumGiven) {
  ChartData data = curve(1000, 5, 5);
  data.max_loss = 20;
  EXPECT_NEAR(average_height(render_chart(data), 500), 640 - 536 / 4, 4);
  data.max_loss = 5.5;
  EXPECT_NEAR(average_height(render_chart(data), 500), 640 - 536 * 5 / 5.5, 4);
  data.max_loss = 1;  // above the top: cut, not drawn over the heading
  const Image image = render_chart(data);
  EXPECT_EQ(average_height(image, 500), -1);
}

TEST(Chart, EarlyTowersDoNotSetTheAutomaticScale) {
  ChartData data = curve(1000, 4, 2);
  for (int i = 0; i < 50; ++i) data.average_loss[static_cast<size_t>(i)].y = 5000;
  EXPECT_GT(average_height(render_chart(data), 72 + 892 / 2), 104);
  EXPECT_LT(average_height(render_chart(data), 72 + 892 / 2), 640 - 536 / 3);
}

TEST(Chart, MapHasItsOwnAxisAndMarks) {
  ChartData data = curve(1000, 5, 5);
  data.map = {{250, 0.2}, {500, 0.9}, {1000, 0.5}};
  const Image image = render_chart(data);
  const double x = 72 + 0.5 * (928 - 72), y = 640 - 0.9 * 536;
  EXPECT_GT(reddish(image, static_cast<int>(x) - 5, static_cast<int>(x) + 6, static_cast<int>(y) - 5, static_cast<int>(y) + 6), 60u);
}

TEST(Chart, EdgeCasesDoNotHarm) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  EXPECT_NO_THROW(render_chart({}));
  ChartData one{.title = "a", .loss = {{1, 3}}, .average_loss = {{1, 3}}, .map = {{1, 0.5}}, .learning_rate = {{1, 0.001}}};
  EXPECT_NO_THROW(render_chart(one));
  ChartData wrong{.title = "\xff" + std::string(5000, 'x'),
                  .max_iterations = -5,
                  .max_loss = nan,
                  .loss = {{1, nan}, {nan, 2}, {3, inf}, {2, -4}, {1e300, 1e300}},
                  .average_loss = {{1, 1e-320}, {2, nan}},
                  .map = {{1, nan}, {2, 7}, {3, -1}},
                  .learning_rate = {{1, 0}, {2, inf}}};
  EXPECT_NO_THROW(render_chart(wrong));
  ChartData zero{.loss = {{0, 0}}, .average_loss = {{0, 0}}, .map = {{0, 0}}};
  EXPECT_NO_THROW(render_chart(zero));
}

TEST(Chart, HalfAMillionPointsKeepTheShape) {
  const ChartData many = curve(500000, 8, 2), few = curve(1000, 8, 2);
  const Image a = render_chart(many), b = render_chart(few);
  for (int x = 150; x < 950; x += 100) EXPECT_NEAR(average_height(a, x), average_height(b, x), 2) << x;
}

TEST(Chart, IsReplacedAtomically) {
  const fs::path path = fs::path(::testing::TempDir()) / concat("chart_", ::getpid(), ".png");
  draw_chart(path, curve(10, 2, 1));
  const Image image = load_image(path);
  EXPECT_EQ(image.width, 1000);
  EXPECT_EQ(image.pixels, render_chart(curve(10, 2, 1)).pixels);
  fs::remove(path);
  EXPECT_THROW(draw_chart("/proc/none/chart.png", curve(10, 2, 1)), Error);
}

}  // namespace
}  // namespace dn
