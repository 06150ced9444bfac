#include "train/coco_metrics.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

namespace dn {
namespace {

using nlohmann::json;

CocoBox box_of(const json& row) { return {row[2], row[3], row[4], row[5]}; }

CocoReport judge(const json& recorded) {
  const size_t images = recorded["images"];
  std::vector<std::vector<CocoTruth>> truths(images);
  std::vector<std::vector<CocoDetection>> found(images);
  for (const json& row : recorded["truths"]) truths[row[0]].push_back({box_of(row), row[1], row[6], row[7] == 1});
  for (const json& row : recorded["detections"]) found[row[0]].push_back({box_of(row), row[1], row[6]});
  CocoMetrics metrics(recorded["classes"]);
  for (size_t i = 0; i < images; ++i) metrics.add(found[i], truths[i]);
  return metrics.result();
}

constexpr Box kWhole{.5f, .5f, 1, 1};

}  // namespace

// tests/data/coco_cases.json holds what pycocotools says (scripts/make_coco_cases.py).
TEST(coco_metrics, equals_the_benchmarks_own_program) {
  const json cases = parse_json(read_text(fs::path(DN_SOURCE_DIR) / "tests/data/coco_cases.json"));
  ASSERT_GE(cases.size(), 16u);
  int measured = 0;
  for (const json& recorded : cases) {
    const CocoReport report = judge(recorded);
    for (int i = 0; i < kCocoNumbers; ++i) {
      const double expected = recorded["numbers"][static_cast<size_t>(i)];
      EXPECT_NEAR(report.numbers[static_cast<size_t>(i)].value_or(-1), expected, 1e-6) << recorded["name"] << ": " << coco_name(i);
      measured += expected > 0 && expected < 1;
    }
  }
  EXPECT_GT(measured, 80);  // numbers that say something
}

// The same boxes relative to an image, in single precision.
TEST(coco_metrics, relative_boxes_give_the_same) {
  for (const json& recorded : parse_json(read_text(fs::path(DN_SOURCE_DIR) / "tests/data/coco_cases.json"))) {
    if (recorded["name"] != "several classes" && recorded["name"] != "equal scores") continue;
    const int classes = recorded["classes"];
    CocoMetrics metrics(classes);
    const auto relative = [](const json& row) {
      const CocoBox b = box_of(row);
      const auto part = [](double pixels) { return static_cast<float>(pixels / 400); };
      return Box{part(b.left + b.width / 2), part(b.top + b.height / 2), part(b.width), part(b.height)};
    };
    for (int image = 0; image < recorded["images"]; ++image) {
      std::vector<TruthBox> truths;
      std::vector<Detection> found;
      for (const json& row : recorded["truths"])
        if (row[0] == image) truths.push_back({relative(row), row[1]});
      for (const json& row : recorded["detections"]) {
        if (row[0] != image) continue;
        found.push_back({relative(row), 1, std::vector<float>(static_cast<size_t>(classes), 0)});
        found.back().prob[row[1]] = row[6];
      }
      metrics.add(found, truths, {}, 400, 400);
    }
    const CocoReport report = metrics.result();
    for (size_t i = 0; i < kCocoNumbers; ++i) EXPECT_NEAR(report.numbers[i].value_or(-1), recorded["numbers"][i], 1e-6) << recorded["name"];
  }
}

TEST(coco_metrics, an_object_on_a_border_belongs_to_both_ranges) {
  CocoMetrics metrics(1);
  const CocoTruth truth[] = {{{10, 10, 32, 32}, 0, 32 * 32, false}};
  const CocoDetection found[] = {{{10, 10, 32, 32}, 0, .9f}};
  metrics.add(found, truth);
  const CocoReport report = metrics.result();
  EXPECT_EQ(report.numbers[kApSmall], 1);
  EXPECT_EQ(report.numbers[kApMedium], 1);
  EXPECT_FALSE(report.numbers[kApLarge]);
}

TEST(coco_metrics, an_image_without_a_size_has_no_areas) {
  CocoMetrics metrics(1);
  const TruthBox truth[] = {{kWhole, 0}, {kWhole, 5}, {kWhole, -1}};  // two of classes that do not exist
  metrics.add({}, truth, {}, 0, 0);
  const CocoReport report = metrics.result();
  EXPECT_EQ(report.numbers[kAp], 0);
  EXPECT_EQ(report.numbers[kAr100], 0);
  for (const int i : {kApSmall, kApMedium, kApLarge, kArSmall, kArMedium, kArLarge})
    EXPECT_FALSE(report.numbers[static_cast<size_t>(i)]) << coco_name(i);
  EXPECT_EQ(report.classes[0].truths, 1);
}

TEST(coco_metrics, difficult_boxes_are_crowds) {
  CocoMetrics metrics(1);
  const Box object{.25f, .25f, .2f, .2f}, inside{.7f, .7f, .1f, .1f}, inside_too{.8f, .8f, .1f, .1f};
  const TruthBox truth[] = {{object, 0}}, difficult[] = {{{.75f, .75f, .4f, .4f}, 0}};
  const Detection found[] = {{inside, 1, {.9f}}, {inside_too, 1, {.8f}}, {object, 1, {.7f}}};
  metrics.add(found, truth, difficult, 100, 100);
  EXPECT_NEAR(metrics.result().numbers[kAp].value(), 1, 1e-12);
  EXPECT_NEAR(metrics.result().numbers[kAr1].value(), 0, 1e-12);  // the most probable lies in the crowd
}

}  // namespace dn
