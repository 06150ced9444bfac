// The look over a data set, and boxes on their way through a letterbox.
#include "data/check.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "data/inference.h"
#include "data/test_folder.h"

namespace dn {
namespace {

using test::TestFolder;

std::string check_error(const Dataset& dataset) {
  try {
    check_dataset(dataset, 3, 200, 1);
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

TEST(data, CheckCountsEverything) {
  const TestFolder folder("check");
  std::string list;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "a"}) list += concat(name, ".jpg\n");
  write_file(folder / "list.txt", list + "missing.jpg\n");
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) write_file(folder / concat(name, ".jpg"), "images are not decoded here");
  write_file(folder / "a.txt", "0 .5 .5 .2 .2\n2 .5 .5 .2 .2\n");
  write_file(folder / "b.txt", "");
  write_file(folder / "c.txt", "7 .5 .5 .2 .2\nx\n1 .1 .5 .4 .2\n");
  make_directories(folder / "e.txt");
  ASSERT_EQ(::mkfifo((folder / "f.txt").c_str(), 0600), 0);
  const Dataset dataset(folder / "list.txt");
  for (const int threads : {1, 4}) {
    const DatasetReport report = check_dataset(dataset, 3, 1, threads);
    EXPECT_EQ(report.images, 8u);
    EXPECT_EQ(report.duplicates, 1u);
    EXPECT_EQ(report.missing_images, 1u);
    EXPECT_EQ(report.labelled, 3u);
    EXPECT_EQ(report.without_file, 1u);
    EXPECT_EQ(report.without_rows, 1u);
    EXPECT_EQ(report.unreadable_labels, 2u);
    EXPECT_EQ(report.boxes, 5);
    EXPECT_EQ(report.bad_rows, 2);
    EXPECT_EQ(report.clipped, 1);
    EXPECT_EQ(report.crowded, 2u);
    EXPECT_EQ(report.most_boxes, 2u);
    EXPECT_EQ(report.most_boxes_file, (folder / "a.txt").string());
    EXPECT_EQ(report.per_class, (std::vector<int64_t>{2, 1, 2}));
    ASSERT_EQ(report.problems.size(), 5u);
    EXPECT_NE(report.problems[0].find("c.txt:1: class 7: expected 0..2"), std::string::npos);
    EXPECT_NE(report.problems[1].find("c.txt:2: "), std::string::npos);
    EXPECT_NE(report.problems[2].find("e.txt: cannot open: it is a directory"), std::string::npos) << report.problems[2];
    EXPECT_NE(report.problems[3].find("f.txt: cannot open: not a regular file"), std::string::npos) << report.problems[3];
    EXPECT_NE(report.problems[4].find("missing.jpg"), std::string::npos);
    EXPECT_NE(report.first_without_file.find("d.jpg: no label file: tried "), std::string::npos);
    EXPECT_GE(summary(report).size(), 7u);
  }
}

TEST(data, CheckJoinsChunksInOrder) {
  const TestFolder folder("chunks");
  std::string list;
  for (int i = 0; i < 700; ++i) {
    list += concat("i", i, ".jpg\n");
    test::write_quickly(folder / concat("i", i, ".jpg"), "x");
    test::write_quickly(folder / concat("i", i, ".txt"), "0 .5 .5 .1 .1\nbad\nbad\n");
  }
  write_file(folder / "list.txt", list);
  const DatasetReport one = check_dataset(Dataset(folder / "list.txt"), 1, 200, 1), four = check_dataset(Dataset(folder / "list.txt"), 1, 200, 4);
  EXPECT_EQ(one.problems, four.problems);
  EXPECT_EQ(one.problems.size(), kMaxProblems);
  EXPECT_EQ(one.more_problems, 400u);
  EXPECT_EQ(four.more_problems, 400u);
  EXPECT_EQ(four.boxes, 700);
}

TEST(data, UselessSetsAreRefused) {
  const TestFolder folder("useless");
  write_file(folder / "list.txt", "images/a.jpg\nimages/b.jpg\n");
  const Dataset dataset(folder / "list.txt");
  EXPECT_NE(check_error(dataset).find("list.txt: 0 usable of 2 images; the first problem: "), std::string::npos) << check_error(dataset);
  make_directories(folder / "images");
  write_file(folder / "images/a.jpg", "x");
  const std::string error = check_error(dataset);
  EXPECT_NE(error.find("no usable label row for 2 images (1 without a label file, 0 bad rows)"), std::string::npos) << error;
  EXPECT_NE(error.find(concat("tried ", (folder / "images/a.txt").string(), ", ", (folder / "labels/a.txt").string())), std::string::npos) << error;
  EXPECT_EQ(check_dataset(dataset, 3, 200, 1, false).boxes, 0);
  write_file(folder / "images/a.txt", "5 .5 .5 .1 .1\n");
  EXPECT_NE(check_error(dataset).find("1 bad rows"), std::string::npos);
}

TEST(data, BoxesReturnThroughTheLetterbox) {
  for (const bool letter_box : {false, true})
    for (const auto& [width, height] : {std::pair(200, 101), std::pair(77, 160)}) {
      const InferenceImage image = prepare_for_inference(test::plain_image(width, height, {255, 255, 255}), 96, 64, letter_box);
      const Box box{.3f, .6f, .2f, .1f}, back = to_image(to_network(box, image), image);
      EXPECT_NEAR(back.x, box.x, 1e-6);
      EXPECT_NEAR(back.y, box.y, 1e-6);
      EXPECT_NEAR(back.w, box.w, 1e-6);
      EXPECT_NEAR(back.h, box.h, 1e-6);
      // The whole image's box is where its white pixels are.
      const Box all = to_network({.5f, .5f, 1, 1}, image);
      int white = 0;
      for (int i = 0; i < 96 * 64; ++i) white += image.pixels.data()[i] > .9f;
      EXPECT_NEAR(all.w * 96 * all.h * 64, white, 1e-2);
      EXPECT_EQ(image.width, width);
      EXPECT_EQ(image.net_height, 64);
    }
}

}  // namespace
}  // namespace dn
