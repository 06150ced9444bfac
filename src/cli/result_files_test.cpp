// What `detector valid` writes, letter by letter.
#include "cli/result_files.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "data/test_folder.h"

namespace dn::cli {
namespace {

// Two images of 200 x 100 pixels: a box within, one that reaches beyond the left and lower edges, one below the threshold; then a box with two classes.
std::vector<ImageDetections> found() {
  ImageDetections first, second;
  first.width = second.width = 200;
  first.height = second.height = 100;
  first.detections = {{{.5f, .5f, .25f, .5f}, 1, {.75f, 0}}, {{.0625f, .875f, .25f, .5f}, 1, {0, .5f}}, {{.5f, .5f, .5f, .5f}, 1, {.001f, 0}}};
  second.index = 1;
  second.detections = {{{.25f, .25f, .125f, .25f}, 1, {.25f, .125f}}};
  return {first, second};
}

struct Files {
  test::TestFolder folder{"results"};
  std::string error;
  // Writes both images and gives the paths below the folder, with what they hold.
  std::vector<std::pair<std::string, std::string>> write(const std::string& eval, const std::string& base = {}) {
    ResultContext context{eval, folder / "new" / "results", base, {"car", "person"}, {3, 1}, .001f};
    const std::vector<std::string> paths{"images/COCO_val2014_000000000042.jpg", "images/7.png"};
    check_results(context, paths);
    const std::unique_ptr<ResultWriter> writer = open_results(context);
    for (const ImageDetections& image : found()) writer->image(paths[image.index], image);
    std::vector<std::pair<std::string, std::string>> files;
    for (const fs::path& path : writer->finish())
      files.emplace_back(path.lexically_relative(context.folder).string(), fs::is_directory(path) ? "" : read_text(path));
    return files;
  }
};

using Pairs = std::vector<std::pair<std::string, std::string>>;

TEST(result_files, voc) {
  const Pairs expected{{"comp4_det_test_car.txt",
                        "COCO_val2014_000000000042 0.750000 76.000000 26.000000 126.000000 76.000000\n"
                        "7 0.250000 38.500000 13.500000 63.500000 38.500000\n"},
                       {"comp4_det_test_person.txt",
                        "COCO_val2014_000000000042 0.500000 1.000000 63.500000 38.500000 100.000000\n"
                        "7 0.125000 38.500000 13.500000 63.500000 38.500000\n"}};
  EXPECT_EQ(Files().write("voc"), expected);
  EXPECT_EQ(Files().write("voc", "mine_")[1].first, "mine_person.txt");
}

TEST(result_files, coco) {
  const Pairs expected{{"coco_results.json",
                        "[\n{\"image_id\":42,\"category_id\":3,\"bbox\":[75.0,25.0,50.0,50.0],\"score\":0.75},\n"
                        "{\"image_id\":42,\"category_id\":1,\"bbox\":[0.0,62.5,37.5,37.5],\"score\":0.5},\n"
                        "{\"image_id\":7,\"category_id\":3,\"bbox\":[37.5,12.5,25.0,25.0],\"score\":0.25},\n"
                        "{\"image_id\":7,\"category_id\":1,\"bbox\":[37.5,12.5,25.0,25.0],\"score\":0.125}\n]\n"}};
  EXPECT_EQ(Files().write("coco"), expected);
  EXPECT_EQ(Files().write("coco", "mine")[0].first, "mine.json");
}

TEST(result_files, bdd) {
  const Pairs expected{
      {"bdd_results.json",
       "[\n{\"name\":\"COCO_val2014_000000000042.jpg\",\"category\":\"car\",\"timestamp\":1000,\"bbox\":[75.0,25.0,125.0,75.0],\"score\":0.75},\n"
       "{\"name\":\"COCO_val2014_000000000042.jpg\",\"category\":\"person\",\"timestamp\":1000,\"bbox\":[0.0,62.5,37.5,100.0],\"score\":0.5},\n"
       "{\"name\":\"7.png\",\"category\":\"car\",\"timestamp\":1000,\"bbox\":[37.5,12.5,62.5,37.5],\"score\":0.25},\n"
       "{\"name\":\"7.png\",\"category\":\"person\",\"timestamp\":1000,\"bbox\":[37.5,12.5,62.5,37.5],\"score\":0.125}\n]\n"}};
  EXPECT_EQ(Files().write("bdd"), expected);
}

TEST(result_files, kitti) {
  for (const char* base : {"", "mine"}) {
    Files files;
    const std::string name = *base ? base : "data";
    EXPECT_EQ(files.write("kitti", base), (Pairs{{name, ""}}));
    EXPECT_EQ(read_text(files.folder / "new" / "results" / name / "COCO_val2014_000000000042.txt"),
              "car -1 -1 -10 75.00 25.00 125.00 75.00 -1 -1 -1 -1000 -1000 -1000 -10 0.750000\n"
              "person -1 -1 -10 0.00 62.50 37.50 100.00 -1 -1 -1 -1000 -1000 -1000 -10 0.500000\n");
    EXPECT_EQ(read_text(files.folder / "new" / "results" / name / "7.txt"),
              "car -1 -1 -10 37.50 12.50 62.50 37.50 -1 -1 -1 -1000 -1000 -1000 -10 0.250000\n"
              "person -1 -1 -10 37.50 12.50 62.50 37.50 -1 -1 -1 -1000 -1000 -1000 -10 0.125000\n");
  }
}

TEST(result_files, imagenet) {
  const Pairs expected{{"imagenet-detection.txt",
                        "1 3 0.750000 75.000000 25.000000 125.000000 75.000000\n"
                        "1 1 0.500000 0.000000 62.500000 37.500000 100.000000\n"
                        "2 3 0.250000 37.500000 12.500000 62.500000 37.500000\n"
                        "2 1 0.125000 37.500000 12.500000 62.500000 37.500000\n"}};
  EXPECT_EQ(Files().write("imagenet"), expected);
}

TEST(result_files, what_cannot_be_written_is_said_before_the_work) {
  const auto error = [](const std::string& eval, const std::vector<std::string>& paths, Names names = {"car"}) -> std::string {
    try {
      check_results({eval, "results", {}, std::move(names), {1}, .001f}, paths);
    } catch (const Error& e) {
      return e.what();
    }
    return "(no error)";
  };
  EXPECT_NE(error("coco", {"a/cat.jpg"}).find("a/cat.jpg: no digits in the file's name"), std::string::npos);
  EXPECT_NE(error("coco", {"99999999999999999999.jpg"}).find("too large"), std::string::npos);
  EXPECT_NE(error("coco", {"val_0042.jpg", "other/42.jpg"}).find("is called 42 in the results, as is val_0042.jpg"), std::string::npos);
  EXPECT_NE(error("kitti", {"a/1.jpg", "b/1.jpg"}).find("is called 1 in the results"), std::string::npos);
  EXPECT_NE(error("voc", {"1.jpg"}, {"cat/dog"}).find("class name 'cat/dog'"), std::string::npos);
  EXPECT_EQ(error("imagenet", {"a/1.jpg", "b/1.jpg"}), "(no error)");
  EXPECT_EQ(error("bdd", {"a/1.jpg", "b/1.png"}), "(no error)");
}

TEST(result_files, image_numbers_and_categories) {
  EXPECT_EQ(image_number("x/000000397133.jpg"), 397133);
  EXPECT_EQ(image_number("x2014/COCO_val2014_000000000042.jpg"), 42);
  EXPECT_EQ(image_number("12_flipped.png"), 12);
  DataFile data;
  data.eval = "coco";
  const std::vector<int> coco = category_numbers(data, 80);
  EXPECT_EQ(coco[0], 1);
  EXPECT_EQ(coco[11], 13);  // 12 is left out
  EXPECT_EQ(coco[79], 90);
  EXPECT_EQ(category_numbers(data, 3), (std::vector<int>{1, 2, 3}));
  const test::TestFolder folder("map");
  write_file(folder / "map.txt", "5\n\n17\n");
  data.file = (folder / "x.data").string();
  data.map = "map.txt";
  EXPECT_EQ(category_numbers(data, 2), (std::vector<int>{5, 17}));
  EXPECT_THROW(category_numbers(data, 3), Error);
}

}  // namespace
}  // namespace dn::cli
