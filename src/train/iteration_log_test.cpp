// The lines that scripts read, the averages behind them, metrics.jsonl and what a resumed run takes from it.
#include "train/iteration_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <limits>

#include "base/json.h"
#include "train/snapshots.h"

namespace dn {
namespace {

IterationNumbers numbers(int64_t iteration, double loss) {
  IterationNumbers n;
  n.iteration = iteration;
  n.loss = loss;
  n.average_loss = loss + 1;
  n.rate = .00261;
  n.seconds = 2;
  n.load_wait = .5;
  n.batch = 64;
  n.images = iteration * 64;
  return n;
}

TEST(iteration_log, classic_line_of_the_family) {
  EXPECT_EQ(classic_line(numbers(57, 12.5), 1.25),
            " 57: 12.500000, 13.500000 avg loss, 0.002610 rate, 2.000000 seconds, 3648 images, 1.250000 hours left");
}

TEST(iteration_log, image_counts_do_not_overflow) {
  EXPECT_NE(classic_line(numbers(2'000'000'000, 1), 0).find("128000000000 images"), std::string::npos);
}

TEST(iteration_log, average_starts_with_the_first_loss_and_leaves_nan_out) {
  AverageLoss average;
  EXPECT_DOUBLE_EQ(average.update(10), 10);
  EXPECT_DOUBLE_EQ(average.update(20), 11);
  EXPECT_DOUBLE_EQ(average.update(std::numeric_limits<double>::quiet_NaN()), 11);
  EXPECT_DOUBLE_EQ(average.update(11), 11);
}

TEST(iteration_log, time_left_moves_slowly) {
  TimeLeft left;
  EXPECT_DOUBLE_EQ(left.update(3600, 2), 2);
  EXPECT_DOUBLE_EQ(left.update(3600, 102), .99 * 2 + .01 * 102);
  EXPECT_EQ(left.update(0, 2), 0);
}

// What a resumed run goes on with is what the run before had, to the bit; lines beyond the iteration are passed over.
TEST(iteration_log, rejection_survives_a_resume) {
  const fs::path path = fs::temp_directory_path() / concat("dn_rejection_", static_cast<int>(::getpid()), ".jsonl");
  fs::remove(path);
  const LabelRejection::State state{1.0 / 3, 2.0 / 7, 1e-17 / 3, .51};
  {
    MetricsFile file(path, "net");
    DeltaSums batch;
    batch.count = 1000;
    batch.left_out = 20;
    file.write("rejection", rejection_event({1, 1, 1, 1}, batch, 6));
    file.write("rejection", rejection_event(state, batch, 7));
    file.write("rejection", rejection_event({2, 2, 2, 2}, batch, 8));
  }
  const RunHistory history = read_history(path, "net", 7);
  ASSERT_TRUE(history.rejection.has_value());
  EXPECT_EQ(*history.rejection, state);
  EXPECT_FALSE(read_history(path, "net", 5).rejection.has_value());
  EXPECT_FALSE(read_history(path, "other", 7).rejection.has_value());
  fs::remove(path);
}

TEST(iteration_log, metrics_are_one_json_object_a_line) {
  const fs::path path = fs::temp_directory_path() / concat("dn_metrics_", static_cast<int>(::getpid()), ".jsonl");
  fs::remove(path);
  {
    MetricsFile file(path, "net");
    IterationNumbers n = numbers(1, 3);
    n.loss = std::numeric_limits<double>::infinity();
    n.heads.push_back({16, {}});
    file.write("iteration", to_json(n));
    file.write("map", {{"iteration", 1}, {"map", .25}, {"note", "a \"quoted\"\nline and \xff"}});
  }
  const std::vector<std::string> lines = read_lines(path);
  ASSERT_EQ(lines.size(), 2u);
  const auto first = parse_json(lines[0]), second = parse_json(lines[1]);
  EXPECT_EQ(first["event"], "iteration");
  EXPECT_EQ(first["run"], "net");
  EXPECT_TRUE(first["loss"].is_null());
  EXPECT_DOUBLE_EQ(first["images_per_s"], 64 / 2.5);
  EXPECT_TRUE(first["heads"][0]["avg_iou"].is_null());  // nothing assigned: no NaN
  EXPECT_EQ(second["map"], .25);
  fs::remove(path);
}

TEST(iteration_log, history_of_a_resumed_run) {
  const fs::path path = fs::temp_directory_path() / concat("dn_history_", static_cast<int>(::getpid()), ".jsonl");
  fs::remove(path);
  {
    MetricsFile mine(path, "net"), other(path, "other");
    mine.write("start", {{"iteration", 0}});
    for (int i = 1; i <= 10; ++i) mine.write("iteration", to_json(numbers(i, i)));
    mine.write("map", {{"iteration", 5}, {"map", .7}});
    mine.write("map", {{"iteration", 9}, {"map", .9}});
    other.write("map", {{"iteration", 3}, {"map", .99}});
    mine.write("start", {{"iteration", 6}});  // went back to iteration 6
    for (int i = 7; i <= 8; ++i) mine.write("iteration", to_json(numbers(i, 100 + i)));
  }
  const RunHistory history = read_history(path, "net", 8);
  ASSERT_EQ(history.loss.size(), 8u);
  EXPECT_EQ(history.loss[5].value, 6);
  EXPECT_EQ(history.loss[6].value, 107);
  EXPECT_EQ(history.best_map, .7);
  EXPECT_EQ(history.best_iteration, 5);
  EXPECT_TRUE(read_history(path, "net", 0).loss.empty());
  EXPECT_TRUE(read_history("/nonexistent/metrics.jsonl", "net", 9).loss.empty());
  fs::remove(path);
}

TEST(snapshots, names_keep_everything_before_the_last_dot) {
  EXPECT_EQ(run_name("cfg/yolov3.coco-giou-12.cfg"), "yolov3.coco-giou-12");
  EXPECT_EQ(run_name("yolov4"), "yolov4");
}

TEST(snapshots, rules_of_the_family) {
  DataFile data;
  SnapshotRules rules = SnapshotRules::from(data, 6000);
  EXPECT_EQ(rules.numbered, 1000);
  EXPECT_EQ(SnapshotRules::from(data, 10000).numbered, 10000);
  EXPECT_FALSE(rules.numbered_due(999, 0));
  EXPECT_TRUE(rules.numbered_due(1000, 0));
  EXPECT_FALSE(rules.numbered_due(1000, 1000));
  EXPECT_TRUE(rules.numbered_due(2003, 1000));  // a multiple was missed
  EXPECT_TRUE(rules.last_due(100, 0));
  EXPECT_FALSE(rules.last_due(150, 100));
  EXPECT_TRUE(rules.last_due(201, 100));
  data.saveweights = 50;
  rules = SnapshotRules::from(data, 6000);
  EXPECT_EQ(rules.numbered, 50);
  EXPECT_EQ(rules.last, 0);  // savelast 100 is not more often
}

}  // namespace
}  // namespace dn
