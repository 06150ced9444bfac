// The evaluating commands and the converters, run as their users run them.

#include <algorithm>

#include "base/json.h"
#include "data/test_folder.h"
#include "tests/harness/program.h"
#include "train/coco_metrics.h"

namespace dn {
namespace {

using testing::all_matches;
using testing::Finished;
using testing::first_match;
using testing::Groups;
using testing::matches;
using testing::tiny_cfg;

class Evaluation : public testing::ProgramTest {
 public:
  static Finished map(std::vector<std::string> options, const std::string& data = "set/synth.data") {
    std::vector<std::string> words{"detector", "map", data, "tiny.v1.cfg", weights()};
    words.insert(words.end(), options.begin(), options.end());
    return run(words);
  }
};

TEST_F(Evaluation, map_prints_the_familys_lines_and_a_table) {
  const Finished result = map({});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(matches(result.out, "\nclass_id = 0, name = \\S+, ap = \\S+%   \t \\(TP = \\d+, FP = \\d+\\)\n")) << result.out;
  EXPECT_TRUE(matches(result.out, "\nclass +truths +TP +FP +FN +AP % +precision +recall +F1\n")) << result.out;
  EXPECT_TRUE(matches(result.out, "\nall +\\d+ +\\d+ +\\d+ +\\d+ +\\d+\\.\\d\\d ")) << result.out;
  EXPECT_NE(map({"-letter_box"}).out, "");
  EXPECT_NE(map({"-points", "12"}).err.find("-points 12: expected 0"), std::string::npos);
  EXPECT_NE(map({"-gt", "x.json"}).err.find("only together with -coco"), std::string::npos);
}

TEST_F(Evaluation, names_must_be_as_many_as_classes) {
  write_file(file("set/two.names"), "a\nb\n");
  std::string data = read_text(file("set/synth.data"));
  data.replace(data.find("synth.names"), 11, "two.names");
  write_file(file("set/two.data"), data);
  const Finished result = map({}, "set/two.data");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("two.names: 2 names: expected 6"), std::string::npos) << result.err;
}

// The validation list's labels once as labels, once as an annotation file: the same twelve numbers.
TEST_F(Evaluation, coco_numbers_from_labels_and_from_a_file) {
  nlohmann::json gt = {{"images", nlohmann::json::array()}, {"annotations", nlohmann::json::array()}, {"categories", nlohmann::json::array()}};
  for (int c = 0; c < 6; ++c) gt["categories"].push_back({{"id", 10 + c}, {"name", concat("c", c)}});
  int number = 0;
  for (const std::string& image : read_lines(file("set/valid.txt"))) {
    ++number;
    gt["images"].push_back({{"id", number}, {"file_name", fs::path(image).filename().string()}, {"width", 96}, {"height", 64}});
    for (const std::string& line : read_lines(file("set/labels/valid") / concat(fs::path(image).stem().string(), ".txt"))) {
      const auto words = split(line, ' ');
      double v[5];
      for (size_t i = 0; i < 5; ++i) v[i] = parse_real(words[i]).value();
      const double w = v[3] * 96, h = v[4] * 64;
      gt["annotations"].push_back(
          {{"image_id", number}, {"category_id", 10 + static_cast<int>(v[0])}, {"bbox", {v[1] * 96 - w / 2, v[2] * 64 - h / 2, w, h}}});
    }
  }
  write_file(file("gt.json"), json_text(gt));
  const Finished labels = map({"-coco"}), annotated = map({"-coco", "-gt", "gt.json"});
  ASSERT_EQ(labels.code, 0) << labels.err;
  ASSERT_EQ(annotated.code, 0) << annotated.err;
  const auto numbers = [](const std::string& text) {
    std::vector<std::string> found;
    for (const Groups& line : all_matches(text, "\n (A[PR]\\S*(?: small| medium| large)?) +(\\S+) ")) found.push_back(line[1] + "=" + line[2]);
    return found;
  };
  EXPECT_EQ(numbers(labels.out).size(), 12u) << labels.out;
  EXPECT_EQ(numbers(labels.out), numbers(annotated.out));
  EXPECT_NE(labels.out.find("areas are those of the boxes"), std::string::npos);
  EXPECT_TRUE(matches(labels.out, "\nclass +truths +AP +AP50 +AP75 +AR100\n")) << labels.out;
  EXPECT_NE(map({"-coco", "-points", "11"}).err.find("-points: has no place beside -coco"), std::string::npos);
  gt["images"].erase(0);
  gt["annotations"] = nlohmann::json::array();
  write_file(file("less.json"), json_text(gt));
  EXPECT_NE(map({"-coco", "-gt", "less.json"}).err.find("not among the images of less.json"), std::string::npos);
}

// The numbers of -coco are those of the file that `detector valid` writes. The objects are some of the detections, a little smaller, so that there is
// something to measure after a short training.
TEST_F(Evaluation, coco_numbers_are_those_of_the_result_file) {
  write_file(file("set/results.data"), concat(read_text(file("set/synth.data")), "eval = coco\nresults = for_coco\n"));
  const Finished valid = run({"detector", "valid", "set/results.data", "tiny.v1.cfg", weights()});
  ASSERT_EQ(valid.code, 0) << valid.err;
  const auto rows = parse_json(read_text(file("for_coco/coco_results.json")));
  ASSERT_GT(rows.size(), 50u);
  nlohmann::json gt = {{"images", nlohmann::json::array()}, {"annotations", nlohmann::json::array()}, {"categories", nlohmann::json::array()}};
  for (int c = 1; c <= 6; ++c) gt["categories"].push_back({{"id", c}, {"name", concat("c", c)}});
  CocoMetrics metrics(6);
  for (const std::string& image : read_lines(file("set/valid.txt"))) {
    const int64_t id = parse_integer(fs::path(image).stem().string()).value();
    gt["images"].push_back({{"id", id}, {"file_name", fs::path(image).filename().string()}, {"width", 96}, {"height", 64}});
    std::vector<CocoTruth> truths;
    std::vector<CocoDetection> found;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i]["image_id"] != id) continue;
      const auto& b = rows[i]["bbox"];
      const CocoBox box{b[0], b[1], b[2], b[3]};
      const int category = rows[i]["category_id"];
      found.push_back({box, category - 1, rows[i]["score"]});
      if (i % 7 != 0 || box.area() < 1) continue;
      const CocoBox smaller{box.left, box.top, box.width * .87, box.height};
      truths.push_back({smaller, category - 1, smaller.area() * .8, i % 14 == 0});
      gt["annotations"].push_back({{"image_id", id},
                                   {"category_id", category},
                                   {"bbox", {smaller.left, smaller.top, smaller.width, smaller.height}},
                                   {"area", smaller.area() * .8},
                                   {"iscrowd", i % 14 == 0 ? 1 : 0}});
    }
    metrics.add(found, truths);
  }
  write_file(file("made.json"), json_text(gt));
  const Finished printed = map({"-coco", "-gt", "made.json"});
  ASSERT_EQ(printed.code, 0) << printed.err;
  const CocoReport report = metrics.result();
  EXPECT_GT(report.numbers[kAr100].value_or(0), .1);
  for (int i = 0; i < kCocoNumbers; ++i) {
    const Groups number = first_match(printed.out, concat("\n ", coco_name(i), " +(\\S+) "));
    ASSERT_FALSE(number.empty()) << coco_name(i);
    // The file rounds to three decimals of a pixel.
    EXPECT_NEAR(parse_real(number[1]).value_or(-1), report.numbers[static_cast<size_t>(i)].value_or(-1), 2e-3) << coco_name(i) << printed.out;
  }
}

TEST_F(Evaluation, valid_creates_its_folder_and_checks_names_first) {
  write_file(file("set/coco.data"), concat(read_text(file("set/synth.data")), "eval = coco\nresults = deep/er/results\n"));
  const Finished valid = run({"detector", "valid", "set/coco.data", "tiny.v1.cfg", weights(), "-out", "mine"});
  EXPECT_EQ(valid.code, 0) << valid.err;
  EXPECT_TRUE(parse_json(read_text(file("deep/er/results/mine.json"))).is_array());
  fs::copy(file(valid_image(0)), file("cat.jpg"), fs::copy_options::overwrite_existing);
  write_file(file("names.txt"), "cat.jpg\n");
  write_file(file("names.data"), "valid = names.txt\nnames = set/synth.names\neval = coco\nresults = never\n");
  const Finished bad = run({"detector", "valid", "names.data", "tiny.v1.cfg", weights()});
  EXPECT_EQ(bad.code, 2);
  EXPECT_NE(bad.err.find("cat.jpg: no digits"), std::string::npos) << bad.err;
  EXPECT_FALSE(fs::exists(file("never")));
}

TEST_F(Evaluation, anchors_are_drawn_when_asked_for) {
  const Finished plain = run({"detector", "calc_anchors", "set/synth.data", "-num_of_clusters", "3", "-width", "64", "-height", "64"});
  ASSERT_EQ(plain.code, 0) << plain.err;
  EXPECT_FALSE(fs::exists(file("anchors.png")));
  const Finished drawn = run({"detector", "calc_anchors", "set/synth.data", "-num_of_clusters", "3", "-width", "64", "-height", "64", "-show"});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_EQ(load_image(file("anchors.png")).width, 900);
  const std::string anchors = read_text(file("anchors.txt"));
  EXPECT_EQ(std::count(anchors.begin(), anchors.end(), ','), 5);  // w,h, w,h, w,h
}

// From annotations to trained weights.
TEST_F(Evaluation, what_is_converted_can_be_trained_on) {
  for (int i = 0; i < 10; ++i) {
    const fs::path xml = file(concat("xml/Annotations/", i, ".xml")), image = file(concat("xml/JPEGImages/", i, ".jpg"));
    make_directories(xml.parent_path());
    make_directories(image.parent_path());
    save_image(image, test::noise_image(96, 64, 3, static_cast<uint64_t>(i)));
    std::string objects;
    for (const char* name : {"a", "b", "c", "d", "e", "f"})
      objects += concat("<object><name>", name, "</name><bndbox><xmin>", 5 + i, "</xmin><ymin>7</ymin><xmax>", 40 + i,
                        "</xmax><ymax>50</ymax></bndbox></object>");
    write_file(xml, concat("<annotation><size><width>96</width><height>64</height></size>", objects, "</annotation>"));
  }
  const Finished made = run({"convert", "voc", "xml", "-out", "converted", "-valid_share", ".2"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.out.find("training: 8 images, 48 objects\nvalidation: 2 images, 12 objects\n"), std::string::npos) << made.out;
  EXPECT_NE(made.out.find("darknet detector train converted/voc.data CFG"), std::string::npos);
  const Finished trained = run({"detector", "train", "converted/voc.data", "tiny.v1.cfg", "-map"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(trained.err.find("label"), std::string::npos) << trained.err;
  EXPECT_NE(trained.out.find("unique_truth_count = 12"), std::string::npos) << trained.out;
  EXPECT_EQ(run({"convert", "voc", "nowhere"}).code, 2);
  EXPECT_NE(run({"convert", "voc", "xml", "-copy"}).err.find("-copy: only together with -out"), std::string::npos);
  EXPECT_NE(run({"convert", "kitti", "xml"}).err.find("no annotations of the KITTI form"), std::string::npos);
  EXPECT_NE(run({"convert", "coco", "xml"}).err.find("no annotations of the COCO form"), std::string::npos);
}

}  // namespace
}  // namespace dn
