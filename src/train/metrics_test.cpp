#include "train/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"

namespace dn {
namespace {

Detection one(const Box& box, std::vector<float> prob) { return {box, 1, std::move(prob)}; }

constexpr Box kA{.25f, .25f, .2f, .2f}, kB{.75f, .25f, .2f, .2f}, kC{.25f, .75f, .2f, .2f}, kNowhere{.75f, .75f, .1f, .1f};

Box moved(Box box, float x) {   // by x widths: IoU = (1 - x) / (1 + x)
  box.x += x * box.w;
  return box;
}

}  // namespace

// right, wrong, right of 3 truths: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3.
TEST(metrics, average_precision_by_hand) {
  const std::vector<bool> right{true, false, true};
  EXPECT_NEAR(average_precision(right, 3), 1.0 / 3 + 1.0 / 3 * 2 / 3, 1e-12);
  std::vector<double> eleven;
  for (int i = 0; i <= 10; ++i) eleven.push_back(i / 10.0);
  EXPECT_NEAR(average_precision(right, 3, eleven), (4 * 1.0 + 3 * 2.0 / 3) / 11, 1e-12);   // levels 0 .. .3 and .4 .. .6
  EXPECT_EQ(average_precision({}, 3), 0);
  EXPECT_EQ(average_precision({false, false}, 3), 0);
  EXPECT_DOUBLE_EQ(average_precision({true, true}, 2), 1);
  EXPECT_NEAR(average_precision({false, true}, 1), .5, 1e-12);
}

TEST(metrics, one_class_by_hand) {
  Metrics metrics({.classes = 1});
  const TruthBox truths[] = {{kA, 0}, {kB, 0}, {kC, 0}};
  const Detection found[] = {one(kA, {.9f}), one(kNowhere, {.8f}), one(moved(kB, .1f), {.3f}), one(moved(kA, .05f), {.2f})};
  metrics.add(found, truths);
  const MapReport r = metrics.result();
  EXPECT_NEAR(r.classes[0].ap.value(), 1.0 / 3 + 1.0 / 3 * 2 / 3, 1e-12);   // the fourth claims a taken truth
  EXPECT_NEAR(r.map, r.classes[0].ap.value(), 1e-12);
  EXPECT_EQ(r.classes[0].true_positives, 2);
  EXPECT_EQ(r.classes[0].false_positives, 1);
  EXPECT_EQ(r.classes[0].false_negatives(), 1);
  EXPECT_NEAR(r.total.precision().value(), 2.0 / 3, 1e-12);
  EXPECT_NEAR(r.total.recall().value(), 2.0 / 3, 1e-12);
  EXPECT_NEAR(r.total.f1().value(), 2.0 / 3, 1e-12);
  EXPECT_NEAR(r.total.mean_iou().value(), (1 + .9 / 1.1) / 3, 1e-6);
  EXPECT_EQ(r.total.detections, 4);
  // overlaps 1 and .818: right at 10 and 7 of the ten thresholds. 7 x (1 and 2/3 of 34+33 levels), 3 x (1 of 34 levels)
  EXPECT_NEAR(r.map50_95, (7 * (34 + 33 * 2.0 / 3) + 3 * 34) / 101 / 10, 1e-9);
}

// A detection claims the truth it overlaps most and gets no second choice, unlike in the COCO judgement.
TEST(metrics, no_second_choice) {
  Metrics metrics({.classes = 1});
  const Box second = moved(kA, .25f);   // a detection on kA overlaps it by .6
  const TruthBox truths[] = {{kA, 0}, {second, 0}};
  const Detection found[] = {one(kA, {.9f}), one(moved(kA, .1f), {.8f})};
  metrics.add(found, truths);
  const MapReport r = metrics.result();
  EXPECT_NEAR(r.map, .5, 1e-12);
  EXPECT_EQ(r.total.true_positives, 1);
  Metrics coco({.classes = 1});
  coco.add(found, truths);
  // there the second takes the free truth, from which it is .15 widths away: overlap .739, enough for 5 of 10 thresholds
  EXPECT_NEAR(coco.result().map50_95, (5 * 1.0 + 5 * 51.0 / 101) / 10, 1e-9);
}

TEST(metrics, threshold_counts_claims_in_detection_order) {
  Metrics metrics({.classes = 1, .thresh = .5});
  const TruthBox truths[] = {{kA, 0}};
  const Detection found[] = {one(moved(kA, .1f), {.1f}), one(kA, {.9f})};   // the earlier one, below the threshold, takes the truth
  metrics.add(found, truths);
  const MapReport r = metrics.result();
  EXPECT_EQ(r.total.true_positives, 0);
  EXPECT_EQ(r.total.false_positives, 1);
  EXPECT_NEAR(r.map, 1, 1e-12);   // by probability the second is first
}

TEST(metrics, classes_without_truths_count_zero) {
  Metrics metrics({.classes = 4});
  const TruthBox truths[] = {{kA, 1}};
  const Detection found[] = {one(kA, {0, .9f, 0, 0}), one(kB, {0, 0, .6f, 0})};
  metrics.add(found, truths);
  const MapReport r = metrics.result();
  EXPECT_NEAR(r.map, .25, 1e-12);
  EXPECT_NEAR(r.map50_95, 1, 1e-12);   // over classes with truths
  EXPECT_FALSE(r.classes[0].ap);
  EXPECT_EQ(r.classes[2].false_positives, 1);
  EXPECT_EQ(percent_text(r.classes[0].ap), "n/a");
  EXPECT_EQ(percent_text(r.classes[1].ap), "100.00");
}

TEST(metrics, nothing_anywhere) {
  Metrics empty({.classes = 3});
  MapReport r = empty.result();
  EXPECT_EQ(r.images, 0);
  EXPECT_FALSE(r.measured() || r.total.precision() || r.total.recall() || r.total.f1() || r.total.mean_iou());
  empty.add({}, {});
  EXPECT_FALSE(empty.result().measured());
  const TruthBox truths[] = {{kA, 0}};
  empty.add({}, truths);
  r = empty.result();
  EXPECT_TRUE(r.measured());
  EXPECT_EQ(r.map, 0);
  EXPECT_EQ(r.map50_95, 0);
  EXPECT_FALSE(r.total.precision());
  EXPECT_EQ(r.total.recall().value(), 0);
  const RecallCount none;
  EXPECT_FALSE(none.recall() || none.mean_iou() || none.proposals_per_image());
}

TEST(metrics, foreign_classes_are_counted_apart) {
  Metrics metrics({.classes = 2});
  const TruthBox truths[] = {{kA, 2}, {kB, -1}, {kC, 0}};
  const Detection found[] = {one(kC, {.9f, 0, .8f})};   // more probabilities than classes
  metrics.add(found, truths);
  EXPECT_EQ(metrics.result().foreign_truths, 2);
  EXPECT_EQ(metrics.result().total.truths, 1);
  EXPECT_EQ(metrics.result().total.detections, 1);
}

TEST(metrics, difficult_boxes_are_neither_right_nor_wrong) {
  const TruthBox truths[] = {{kA, 0}}, difficult[] = {{kB, 0}};
  const Detection found[] = {one(kB, {.9f}), one(kA, {.8f}), one(kNowhere, {.7f})};
  Metrics metrics({.classes = 1});
  metrics.add(found, truths, difficult);
  const MapReport r = metrics.result();
  EXPECT_EQ(r.total.detections, 2);
  EXPECT_EQ(r.total.true_positives, 1);
  EXPECT_EQ(r.total.false_positives, 1);
  EXPECT_NEAR(r.map, 1, 1e-12);
  EXPECT_NEAR(r.map50_95, 1, 1e-12);
}

TEST(metrics, iou_thresh_is_strict_for_map) {
  const Box half{.25f, .25f, .5f, .5f}, inner{.25f, .125f, .5f, .25f};   // IoU exactly .5
  const TruthBox truths[] = {{half, 0}};
  const Detection found[] = {one(inner, {.9f})};
  Metrics metrics({.classes = 1});
  metrics.add(found, truths);
  EXPECT_EQ(metrics.result().map, 0);
  EXPECT_NEAR(metrics.result().map50_95, .1, 1e-12);   // COCO takes not less than .5
}

TEST(metrics, at_most_100_detections_for_coco) {
  Metrics metrics({.classes = 1});
  std::vector<Detection> found(100, one(kNowhere, {.9f}));
  found.push_back(one(kA, {.5f}));
  const TruthBox truths[] = {{kA, 0}};
  metrics.add(found, truths);
  EXPECT_EQ(metrics.result().map50_95, 0);
  EXPECT_NEAR(metrics.result().map, 1.0 / 101, 1e-12);
}

TEST(metrics, refuses_other_points) {
  EXPECT_THROW(Metrics({.classes = 1, .points = 10}), Error);
  EXPECT_THROW(Metrics({.classes = 1, .points = -1}), Error);
}

namespace {

// The family's table, every class at every rank, as its notes describe it.
struct RankedTable {
  struct Rank {
    float prob;
    int class_id, truth;
  };
  std::vector<Rank> ranks;
  std::vector<int> total;   // truths per class
  int truths = 0;

  explicit RankedTable(int classes) : total(static_cast<size_t>(classes), 0) {}

  void add(const std::vector<Detection>& found, const std::vector<TruthBox>& labels) {
    for (const TruthBox& t : labels) ++total[static_cast<size_t>(t.class_id)];
    for (const Detection& d : found)
      for (size_t c = 0; c < total.size(); ++c) {
        if (d.prob[c] <= 0) continue;
        Rank rank{d.prob[c], static_cast<int>(c), -1};
        float best = 0;
        for (size_t i = 0; i < labels.size(); ++i) {
          const float overlap = iou(d.box, labels[i].box);
          if (labels[i].class_id == rank.class_id && overlap > .5f && overlap > best) best = overlap, rank.truth = truths + static_cast<int>(i);
        }
        ranks.push_back(rank);
      }
    truths += static_cast<int>(labels.size());
  }

  double ap(int class_id, int points) {
    std::stable_sort(ranks.begin(), ranks.end(), [](const Rank& a, const Rank& b) { return a.prob > b.prob; });
    std::vector<double> precision, recall;
    std::vector<bool> used(static_cast<size_t>(truths), false);
    const int all = total[static_cast<size_t>(class_id)];
    int tp = 0, fp = 0;
    for (const Rank& rank : ranks) {
      const bool right = rank.truth >= 0 && !used[static_cast<size_t>(rank.truth)];
      if (rank.class_id == class_id) ++(right ? tp : fp);
      if (rank.class_id == class_id && right) used[static_cast<size_t>(rank.truth)] = true;
      precision.push_back(tp + fp ? static_cast<double>(tp) / (tp + fp) : 0);
      recall.push_back(all ? static_cast<double>(tp) / all : 0);
    }
    return points == 0 ? area(precision, recall) : levels(precision, recall, points);
  }

  static double area(const std::vector<double>& precision, const std::vector<double>& recall) {
    double height = precision.back(), right = recall.back(), sum = 0;
    for (size_t i = precision.size() - 1; i-- > 0;) {
      height = std::max(height, precision[i]);
      sum += (right - recall[i]) * height;
      right = recall[i];
    }
    return sum + right * height;
  }

  static double levels(const std::vector<double>& precision, const std::vector<double>& recall, int points) {
    double sum = 0;
    for (int level = 0; level < points; ++level) {
      double height = 0;
      for (size_t i = 0; i < precision.size(); ++i)
        if (recall[i] >= static_cast<double>(level) / (points - 1)) height = std::max(height, precision[i]);
      sum += height / points;
    }
    return sum;
  }
};

}  // namespace

TEST(metrics, equals_the_table_of_every_class_at_every_rank) {
  Rng rng(1, RandomUse::test);
  const int classes = 3;
  const auto draw = [&](double low, double high) { return static_cast<float>(rng.uniform(low, high)); };
  std::vector<std::vector<Detection>> found;
  std::vector<std::vector<TruthBox>> truths;
  for (int n = 0; n < 12; ++n) {
    truths.emplace_back();
    found.emplace_back();
    for (uint32_t i = rng.below(6); i > 0; --i)
      truths.back().push_back({{draw(.2, .8), draw(.2, .8), draw(.1, .4), draw(.1, .4)}, static_cast<int>(rng.below(2))});
    for (uint32_t i = rng.below(15); i > 0; --i) {
      Box box{draw(.2, .8), draw(.2, .8), draw(.1, .4), draw(.1, .4)};
      if (!truths.back().empty() && rng.coin()) box = moved(truths.back()[rng.below(static_cast<uint32_t>(truths.back().size()))].box, draw(-.3, .3));
      std::vector<float> prob(classes, 0);
      for (float& p : prob)
        if (rng.coin()) p = draw(.01, 1);
      found.back().push_back(one(box, prob));
    }
  }
  for (const int points : {0, 11, 101}) {
    Metrics metrics({.classes = classes, .points = points});
    RankedTable table(classes);
    for (size_t n = 0; n < found.size(); ++n) {
      metrics.add(found[n], truths[n]);
      table.add(found[n], truths[n]);
    }
    const MapReport r = metrics.result();
    double sum = 0;
    for (int c = 0; c < classes; ++c) {
      const double expected = table.ap(c, points);
      EXPECT_NEAR(r.classes[static_cast<size_t>(c)].ap.value_or(0), expected, 1e-12) << points << " points, class " << c;
      sum += expected;
    }
    EXPECT_GT(sum, 0);
    EXPECT_NEAR(r.map, sum / classes, 1e-12);
  }
}

TEST(metrics, recall_count) {
  RecallCount count;
  const TruthBox truths[] = {{kA, 0}, {kB, 5}};
  const Detection found[] = {{moved(kA, .1f), .9f, {}}, {moved(kB, .1f), .0005f, {}}, {kNowhere, .5f, {}}};
  count.add(found, truths);
  count.add({}, {});
  EXPECT_EQ(count.truths, 2);
  EXPECT_EQ(count.found, 1);
  EXPECT_EQ(count.proposals, 2);
  EXPECT_NEAR(count.recall().value(), .5, 1e-12);
  EXPECT_NEAR(count.mean_iou().value(), .9 / 1.1 / 2, 1e-6);
  EXPECT_NEAR(count.proposals_per_image().value(), 1, 1e-12);
}

}  // namespace dn
