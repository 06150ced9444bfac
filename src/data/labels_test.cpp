// Label paths and label rows, good and bad.
#include "data/labels.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "data/test_folder.h"

namespace dn {
namespace {

std::vector<std::string> paths(const std::string& image) {
  std::vector<std::string> out;
  for (const fs::path& path : label_paths(image)) out.push_back(path.string());
  return out;
}
using Paths = std::vector<std::string>;

TEST(data, LabelPathsFollowTheFamily) {
  EXPECT_EQ(paths("/d/images/train2017/a.jpg"), Paths{"/d/labels/train2017/a.txt"});
  EXPECT_EQ(paths("/d/images/val2014/a.jpg"), Paths{"/d/labels/val2014/a.txt"});
  EXPECT_EQ(paths("/VOC/JPEGImages/a.png"), Paths{"/VOC/labels/a.txt"});
  EXPECT_EQ(paths("/JPEGImages/JPEGImages/a.JPEG"), Paths{"/labels/JPEGImages/a.txt"});  // the first occurrence, and it overlaps the second
  EXPECT_EQ(paths("C:\\d\\images\\train2017\\a.bmp"), Paths{"C:\\d\\labels\\train2017\\a.txt"});
  EXPECT_EQ(paths("C:\\d\\JPEGImages\\a.ppm"), Paths{"C:\\d\\labels\\a.txt"});
  EXPECT_EQ(paths("/d/pictures/a.jpg"), Paths{"/d/pictures/a.txt"});
}

TEST(data, LabelPathsOfOtherLayouts) {
  EXPECT_EQ(paths("/d/images/a.jpg"), (Paths{"/d/images/a.txt", "/d/labels/a.txt"}));
  EXPECT_EQ(paths("/images/x/images/train/a.jpg"), (Paths{"/images/x/images/train/a.txt", "/images/x/labels/train/a.txt"}));
  EXPECT_EQ(paths("images/a.jpg"), (Paths{"images/a.txt", "labels/a.txt"}));
  EXPECT_EQ(paths("/my_images/a.jpg"), Paths{"/my_images/a.txt"});
  EXPECT_EQ(paths("/d/images.jpg"), Paths{"/d/images.txt"});
}

TEST(data, LabelPathsReplaceAnyExtension) {
  EXPECT_EQ(paths("a.webp"), Paths{"a.txt"});
  EXPECT_EQ(paths("a.Jpg"), Paths{"a.txt"});
  EXPECT_EQ(paths("/x.y/a"), Paths{"/x.y/a.txt"});
  EXPECT_EQ(paths("/x/.hidden"), Paths{"/x/.hidden.txt"});
  EXPECT_EQ(paths(" /x/a b;$(c).jpg\t"), Paths{"/x/a b;$(c).txt"});
}

TEST(data, LabelRowsAreParsed) {
  const Labels labels = parse_labels(
      "\xEF\xBB\xBF"
      "0 .5 .5 .2 .3\r\n\n \t\n  3.0\t0.25 2.5e-1 +.1 1e-1  \n1 0.5 0.5 1 1",
      "x.txt", 4);
  EXPECT_EQ(labels.problems, std::vector<std::string>{});
  EXPECT_EQ(labels.rows, 3);
  EXPECT_EQ(labels.clipped, 0);
  ASSERT_EQ(labels.boxes.size(), 3u);
  EXPECT_EQ(labels.boxes[1], (TruthBox{{.25f, .25f, .1f, .1f}, 3}));
  EXPECT_EQ(labels.boxes[2], (TruthBox{{.5f, .5f, 1, 1}, 1}));
}

TEST(data, BadLabelRowsAreNamedAndSkipped) {
  const std::pair<const char*, const char*> rows[] = {
      {"0 .5 .5 .2", "4 values: expected 5"},
      {"0 .5 .5 .2 .2 .9", "6 values: expected 5"},
      {"0", "1 value: expected 5"},
      {"cat .5 .5 .2 .2", "\"cat\" is not a finite number"},
      {"0 nan .5 .2 .2", "\"nan\""},
      {"0 .5 inf .2 .2", "\"inf\""},
      {"0 .5 .5 1e400 .2", "\"1e400\""},
      {"0 0,5 0,5 0,2 0,2", "\"0,5\""},
      {"-1 .5 .5 .2 .2", "class -1: expected 0..2"},
      {"3 .5 .5 .2 .2", "class 3: expected 0..2"},
      {"8589934592 .5 .5 .2 .2", "class 8589934592"},
      {"1.5 .5 .5 .2 .2", "class 1.5: expected a whole number"},
      {"0 .5 .5 0 .2", "width 0, height 0.2: expected more than 0"},
      {"0 .5 .5 .2 -1", "height -1"},
      {"0 0 0 .2 .2", "centre 0 0"},
      {"0 1.5 .5 .2 .2", "outside the image"},
      {"0 320 240 100 50", "outside the image"},
      {"0 .5 .5 1e-60 .2", "too small"},
      {"# comment", "\"#\""},
  };
  for (const auto& [row, reason] : rows) {
    const Labels labels = parse_labels(concat("0 .1 .1 .1 .1\n", row, "\n1 .2 .2 .1 .1\n"), "d/x.txt", 3);
    EXPECT_EQ(labels.boxes.size(), 2u) << row;
    EXPECT_EQ(labels.bad_rows, 1) << row;
    ASSERT_EQ(labels.problems.size(), 1u) << row;
    EXPECT_TRUE(labels.problems[0].starts_with("d/x.txt:2: ")) << labels.problems[0];
    EXPECT_NE(labels.problems[0].find(reason), std::string::npos) << labels.problems[0];
  }
}

TEST(data, RepeatedRowsCountOnce) {
  const Labels labels = parse_labels("0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n0 0.5 0.5 0.2 0.2\n", "x.txt", 2);
  EXPECT_EQ(labels.boxes.size(), 2u);
  ASSERT_EQ(labels.problems.size(), 1u);
  EXPECT_EQ(labels.problems[0], "x.txt:3: repeats an earlier row");
}

TEST(data, BoxesAreCutAtTheImage) {
  const Labels labels = parse_labels("0 .1 .5 .4 .2\n0 1 1 .5 .5\n0 .5 .5 2 3\n0 .500001 .5 1 1\n", "x.txt", 1);
  ASSERT_EQ(labels.boxes.size(), 4u);
  EXPECT_EQ(labels.clipped, 3);  // what rounding does is not counted
  EXPECT_NEAR(labels.boxes[0].box.x, .15, 1e-6);
  EXPECT_NEAR(labels.boxes[0].box.w, .3, 1e-6);
  EXPECT_NEAR(labels.boxes[1].box.x, .875, 1e-6);
  EXPECT_NEAR(labels.boxes[1].box.h, .25, 1e-6);
  EXPECT_EQ(labels.boxes[2], (TruthBox{{.5f, .5f, 1, 1}, 0}));
  for (const TruthBox& t : labels.boxes) EXPECT_LE(t.box.x + t.box.w / 2, 1.0f);
}

TEST(data, ManyBadRowsAreCountedNotListed) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "garbage\n";
  const Labels labels = parse_labels(text + "0 .5 .5 .1 .1", "x.txt", 1);
  EXPECT_EQ(labels.bad_rows, 5000);
  EXPECT_EQ(labels.problems.size(), kMaxProblemsPerFile);
  EXPECT_EQ(labels.boxes.size(), 1u);
  EXPECT_EQ(parse_labels(std::string_view("\0\0\1\n", 4), "x.txt", 1).bad_rows, 1);
}

TEST(data, LabelFilesAreFound) {
  const test::TestFolder folder("labels");
  make_directories(folder / "images");
  make_directories(folder / "labels");
  const std::string image = (folder / "images/a.jpg").string();
  EXPECT_TRUE(load_labels(image, 1).file.empty());
  write_file(folder / "labels/a.txt", "0 .5 .5 .1 .1\n");
  EXPECT_EQ(load_labels(image, 1).file, folder / "labels/a.txt");
  write_file(folder / "images/a.txt", "");  // beside the image comes first, as in the family
  EXPECT_EQ(load_labels(image, 1).file, folder / "images/a.txt");
  EXPECT_EQ(load_labels(image, 1).rows, 0);
  make_directories(folder / "labels/b.txt");
  EXPECT_THROW(load_labels((folder / "images/b.jpg").string(), 1), Error);
}

}  // namespace
}  // namespace dn
