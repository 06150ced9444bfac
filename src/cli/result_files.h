// Detections in the result formats of benchmarks.
//
//   voc       FOLDER/comp4_det_test_CLASS.txt   NAME prob left top right bottom    (pixels, 1-based, cut at the image)
//   coco      FOLDER/coco_results.json          [{image_id, category_id, bbox: [x, y, w, h], score}]
//   bdd       FOLDER/bdd_results.json           [{name, category, timestamp, bbox: [left, top, right, bottom], score}]
//   kitti     FOLDER/data/NAME.txt              class -1 -1 -10 left top right bottom -1 -1 -1 -1000 -1000 -1000 -10 score
//   imagenet  FOLDER/imagenet-detection.txt     image class prob left top right bottom
//
// With a base name it stands for comp4_det_test_, coco_results, bdd_results, data, imagenet-detection.
#pragma once

#include <memory>

#include "cli/detection_output.h"
#include "config/data_file.h"

namespace dn::cli {

struct ResultContext {
  std::string eval;  // voc, coco, bdd, kitti, imagenet
  fs::path folder;   // created when missing
  std::string base;  // -out; empty: the format's own
  Names names;
  std::vector<int> numbers;  // category number of each class (coco, imagenet)
  float threshold = .001f;   // probabilities above it are written
};

class ResultWriter {
 public:
  virtual ~ResultWriter() = default;
  virtual void image(const std::string& path, const ImageDetections& found) = 0;
  virtual std::vector<fs::path> finish() = 0;  // what was written
};

std::unique_ptr<ResultWriter> open_results(ResultContext context);

// Before hours of work: Error when a result cannot be written for one of these images or classes, warnings where the benchmark would not take it.
void check_results(const ResultContext& context, const std::vector<std::string>& paths);

// The benchmark's own number of an image: the last run of digits in its name (COCO_val2014_000000000042 -> 42). Error without one.
int64_t image_number(const std::string& path);

// The numbers in the file map= of the .data file, one a line.
std::vector<int> map_numbers(const DataFile& data);

// Of each class, those of `map` in the .data file, else 1, 2 ...; COCO numbers its 80 detection classes 1..90 with ten numbers left out.
std::vector<int> category_numbers(const DataFile& data, size_t classes);

}  // namespace dn::cli
