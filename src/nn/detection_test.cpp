#include "nn/detection.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"

namespace dn {
namespace {

Detection detection(const Box& box, std::vector<float> prob) { return {box, 1, std::move(prob)}; }

std::vector<Detection> random_detections(size_t count, int classes, uint64_t seed, double largest) {
  Rng rng(seed, RandomUse::test);
  const auto draw = [&](double low, double high) { return static_cast<float>(rng.uniform(low, high)); };
  std::vector<Detection> out;
  for (size_t i = 0; i < count; ++i) {
    std::vector<float> prob(static_cast<size_t>(classes), 0);
    for (float& p : prob)
      if (rng.below(3) == 0) p = static_cast<float>(1 + rng.below(50)) / 50;   // many ties
    const Box box{draw(-.1, 1.1), draw(-.1, 1.1), draw(.01, largest), draw(.01, largest)};
    out.push_back(detection(box, std::move(prob)));
  }
  return out;
}

float measure(NmsKind kind, const Box& a, const Box& b, float beta) {
  return kind == NmsKind::standard ? iou(a, b) : kind == NmsKind::greedy ? diou(a, b) : diou_nms(a, b, beta);
}

// As the family writes it down: sort, and let every survivor clear the ones below it.
void naive(std::vector<Detection>& detections, int classes, float threshold, NmsKind kind, float beta) {
  for (size_t c = 0; c < static_cast<size_t>(classes); ++c) {
    std::vector<size_t> order;
    for (size_t i = 0; i < detections.size(); ++i) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return detections[a].prob[c] > detections[b].prob[c]; });
    for (size_t i = 0; i < order.size(); ++i) {
      if (detections[order[i]].prob[c] == 0) continue;
      for (size_t j = i + 1; j < order.size(); ++j)
        if (measure(kind, detections[order[i]].box, detections[order[j]].box, beta) > threshold) detections[order[j]].prob[c] = 0;
    }
  }
}

}  // namespace

TEST(detection, lower_overlapping_ones_of_a_class_go) {
  const Box a{.5f, .5f, .2f, .2f}, near{.52f, .5f, .2f, .2f}, far{.9f, .5f, .2f, .2f};
  std::vector<Detection> d{detection(near, {.6f, .9f}), detection(a, {.8f, 0}), detection(far, {.1f, .5f})};
  suppress(d, 2, .45f, NmsKind::standard, .6f);
  EXPECT_EQ(d[0].prob, (std::vector<float>{0, .9f}));
  EXPECT_EQ(d[1].prob, (std::vector<float>{.8f, 0}));
  EXPECT_EQ(d[2].prob, (std::vector<float>{.1f, .5f}));
}

// A suppressed box does not suppress: c overlaps b, b overlaps a, c and a are apart.
TEST(detection, chains) {
  const Box a{.3f, .5f, .2f, .2f}, b{.37f, .5f, .2f, .2f}, c{.44f, .5f, .2f, .2f};
  std::vector<Detection> d{detection(a, {.9f}), detection(b, {.8f}), detection(c, {.7f})};
  suppress(d, 1, .45f, NmsKind::standard, .6f);
  EXPECT_EQ(d[1].prob[0], 0);
  EXPECT_EQ(d[2].prob[0], .7f);
}

TEST(detection, kinds_differ_by_the_distance_of_centres) {
  const Box a{.3f, .5f, .2f, .2f}, b{.35f, .5f, .2f, .2f};   // IoU .6, d^2/c^2 = .0025/.1025
  const auto survives = [&](NmsKind kind, float threshold, float beta) {
    std::vector<Detection> d{detection(a, {.9f}), detection(b, {.8f})};
    suppress(d, 1, threshold, kind, beta);
    return d[1].prob[0] > 0;
  };
  EXPECT_FALSE(survives(NmsKind::standard, .55f, .6f));
  EXPECT_TRUE(survives(NmsKind::greedy, .55f, .6f));       // .6 - .1077 = .492
  EXPECT_FALSE(survives(NmsKind::greedy, .48f, .6f));
  EXPECT_FALSE(survives(NmsKind::diou, .55f, 1));          // .6 - .0244
  EXPECT_TRUE(survives(NmsKind::diou, .55f, .6f));
}

TEST(detection, grid_gives_what_comparing_all_gives) {
  for (const NmsKind kind : {NmsKind::standard, NmsKind::greedy, NmsKind::diou})
    for (const double largest : {.05, .4, 3.0}) {
      std::vector<Detection> fast = random_detections(400, 3, 7, largest), slow = fast;
      suppress(fast, 3, .3f, kind, .6f);
      naive(slow, 3, .3f, kind, .6f);
      size_t gone = 0;
      for (size_t i = 0; i < fast.size(); ++i) {
        EXPECT_EQ(fast[i].prob, slow[i].prob) << i;
        gone += static_cast<size_t>(std::count(fast[i].prob.begin(), fast[i].prob.end(), 0.0f));
      }
      EXPECT_GT(gone, 0u);
    }
}

TEST(detection, nothing_and_fewer_classes_than_asked) {
  std::vector<Detection> none;
  suppress(none, 80, .45f, NmsKind::standard, .6f);
  EXPECT_TRUE(none.empty());
  const Box box{.5f, .5f, .2f, .2f};
  std::vector<Detection> d{detection(box, {.5f}), detection(box, {.4f, .3f}), detection({NAN, .5f, .2f, .2f}, {.4f})};
  suppress(d, 5, .45f, NmsKind::standard, .6f);
  EXPECT_EQ(d[1].prob, (std::vector<float>{0, .3f}));
  EXPECT_EQ(d[2].prob[0], .4f);
}

}  // namespace dn
