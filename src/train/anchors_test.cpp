#include "train/anchors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace dn {
namespace {

// Boxes around three sizes, 10 x 13, 60 x 45 and 156 x 198 of 416, each spread by `spread`.
std::vector<TruthBox> three_groups(size_t each, double spread) {
  Rng rng(1, RandomUse::test);
  std::vector<TruthBox> labels;
  const double sizes[3][2] = {{10, 13}, {60, 45}, {156, 198}};
  for (size_t i = 0; i < each; ++i)
    for (int g = 0; g < 3; ++g) {
      const auto draw = [&](double size) { return static_cast<float>(size * rng.uniform(1 - spread, 1 + spread) / 416); };
      labels.push_back({{.5f, .5f, draw(sizes[g][0]), draw(sizes[g][1])}, g});
    }
  return labels;
}

AnchorOptions options(int clusters) {
  AnchorOptions o;
  o.clusters = clusters;
  o.width = o.height = 416;
  return o;
}

}  // namespace

TEST(anchors, finds_the_groups) {
  const AnchorResult r = find_anchors(three_groups(500, .1), options(3));
  ASSERT_EQ(r.anchors.size(), 3u);
  EXPECT_NEAR(r.anchors[0].w, 10, .3);
  EXPECT_NEAR(r.anchors[0].h, 13, .3);
  EXPECT_NEAR(r.anchors[1].w, 60, 1);
  EXPECT_NEAR(r.anchors[2].h, 198, 3);
  for (const Anchor& a : r.anchors) EXPECT_EQ(a.boxes, 500);
  EXPECT_GT(r.mean_iou, .88);
  EXPECT_EQ(r.best_possible_recall, 1);
  EXPECT_EQ(r.boxes, 1500);
  EXPECT_EQ(r.counters_per_class, (std::vector<int64_t>{500, 500, 500}));
}

TEST(anchors, texts) {
  AnchorResult r;
  r.anchors = {{9.6f, 13.4f, 1}, {60, 45, 1}, {156.2f, 198, 1}};
  EXPECT_EQ(anchors_text(r, options(3)), " 10, 13,  60, 45, 156,198\n");
  r.counters_per_class = {7, 0, 12};
  EXPECT_EQ(counters_text(r), "7, 0, 12\n");
}

// By hand: one cluster is the mean; IoU of 40 x 40 and 80 x 80 with 60 x 60.
TEST(anchors, one_cluster_by_hand) {
  AnchorOptions o = options(1);
  o.width = o.height = 100;
  const std::vector<TruthBox> labels{{{.5f, .5f, .4f, .4f}, 2}, {{.5f, .5f, .8f, .8f}, 0}};
  const AnchorResult r = find_anchors(labels, o);
  EXPECT_NEAR(r.anchors[0].w, 60, 1e-4);
  EXPECT_NEAR(r.mean_iou, (1600.0 / 3600 + 3600.0 / 6400) / 2, 1e-6);
  EXPECT_EQ(r.best_possible_recall, .5);
  EXPECT_EQ(anchors_text(r, o), " 60, 60\n");
  EXPECT_EQ(counters_text(r), "1, 0, 1\n");
  o.width = o.height = 13;
  EXPECT_EQ(anchors_text(find_anchors(labels, o), o), "7.8000,7.8000\n");
}

TEST(anchors, same_on_any_thread_count_and_better_with_more_clusters) {
  const std::vector<TruthBox> labels = three_groups(4000, .6);
  AnchorOptions o = options(6);
  const AnchorResult first = find_anchors(labels, o);
  o.threads = 3;
  const AnchorResult second = find_anchors(labels, o);
  for (size_t k = 0; k < 6; ++k) {
    EXPECT_EQ(first.anchors[k].w, second.anchors[k].w);
    EXPECT_EQ(first.anchors[k].h, second.anchors[k].h);
  }
  EXPECT_EQ(first.mean_iou, second.mean_iou);
  EXPECT_TRUE(std::is_sorted(first.anchors.begin(), first.anchors.end(), [](const Anchor& a, const Anchor& b) { return a.w * a.h < b.w * b.h; }));
  EXPECT_GT(first.mean_iou, find_anchors(labels, options(3)).mean_iou);
  EXPECT_GT(find_anchors(labels, options(12)).mean_iou, first.mean_iou);
}

TEST(anchors, centres_are_the_means_of_their_members) {
  const std::vector<TruthBox> labels = three_groups(300, .6);
  const AnchorResult r = find_anchors(labels, options(5));
  std::vector<double> w(5), h(5), count(5);
  double overlaps = 0;
  for (const TruthBox& label : labels) {
    size_t nearest = 0;
    double best = -1;
    for (size_t k = 0; k < 5; ++k) {
      const double lw = label.box.w * 416.0, lh = label.box.h * 416.0;
      const double shared = std::min<double>(lw, r.anchors[k].w) * std::min<double>(lh, r.anchors[k].h);
      const double overlap = shared / (lw * lh + static_cast<double>(r.anchors[k].w) * r.anchors[k].h - shared);
      if (overlap > best) best = overlap, nearest = k;
    }
    overlaps += best;
    w[nearest] += label.box.w * 416.0, h[nearest] += label.box.h * 416.0, count[nearest] += 1;
  }
  for (size_t k = 0; k < 5; ++k) {
    EXPECT_NEAR(r.anchors[k].w, w[k] / count[k], 1e-2);
    EXPECT_NEAR(r.anchors[k].h, h[k] / count[k], 1e-2);
    EXPECT_EQ(static_cast<double>(r.anchors[k].boxes), count[k]);
  }
  EXPECT_NEAR(r.mean_iou, overlaps / static_cast<double>(labels.size()), 1e-6);
}

TEST(anchors, wrong_labels_are_left_out) {
  const std::vector<TruthBox> labels{
      {{.5f, .5f, .4f, .4f}, 0}, {{.5f, .5f, 0, .4f}, 0}, {{.5f, .5f, NAN, .4f}, 0}, {{.5f, .5f, .2f, 1.5f}, 0}, {{.5f, .5f, .1f, .1f}, -3}};
  AnchorOptions o = options(2);
  o.classes = 1;
  const AnchorResult r = find_anchors(labels, o);
  EXPECT_EQ(r.boxes, 2);
  EXPECT_EQ(r.skipped, 3);
  EXPECT_EQ(r.counters_per_class, std::vector<int64_t>{1});
}

TEST(anchors, refuses_what_cannot_be_clustered) {
  const std::vector<TruthBox> same(50, TruthBox{{.5f, .5f, .4f, .4f}, 0});
  EXPECT_EQ(find_anchors(same, options(1)).mean_iou, 1);
  EXPECT_THROW(find_anchors(same, options(2)), Error);
  EXPECT_THROW(find_anchors({}, options(1)), Error);
  EXPECT_THROW(find_anchors(same, options(0)), Error);
  AnchorOptions without_size;
  without_size.clusters = 1;
  EXPECT_THROW(find_anchors(same, without_size), Error);
}

}  // namespace dn
