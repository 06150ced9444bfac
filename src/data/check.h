// A look over a whole data set before it is trained on: every label file is read, every image is looked for (not decoded).
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace dn {

struct DatasetReport {
  size_t images = 0;
  size_t duplicates = 0;         // lines of the list that repeat an earlier one
  size_t missing_images = 0;     // no such regular file
  size_t labelled = 0;           // images with at least one usable row
  size_t without_file = 0;       // no label file: images without objects
  size_t without_rows = 0;       // an empty label file: the same
  size_t unreadable_labels = 0;  // a folder, a pipe, too large, no permission
  int64_t boxes = 0, bad_rows = 0, clipped = 0;
  size_t crowded = 0;  // images with more boxes than training takes
  size_t most_boxes = 0;
  std::string most_boxes_file;
  std::string first_without_file;     // "IMAGE: no label file: tried A, B"
  std::vector<int64_t> per_class;     // boxes of each class
  std::vector<std::string> problems;  // in the order of the list, the first kMaxProblems of them
  size_t more_problems = 0;           // not in `problems`
};

inline constexpr size_t kMaxProblems = 1000;

// What is in the lists' files. `max_truths`: boxes per image that training takes. Throws Error when no image exists or, with `need_labels`,
// when not one usable label row is found.
DatasetReport check_dataset(const Dataset& dataset, int classes, int max_truths, int threads, bool need_labels = true);

// The report for the console: counts in a line or two, then what deserves attention.
std::vector<std::string> summary(const DatasetReport& report);

}  // namespace dn
