// YOLO label files: one row `class cx cy w h` per object, relative to the image. Where they lie, how they are read.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "image/truth.h"

namespace dn {

// The places where the labels of an image may lie, best first. First the family's rule: the first occurrence of /images/train2017/,
// /images/val2017/, /images/train2014/, /images/val2014/ becomes /labels/..., /JPEGImages/ becomes /labels/ (with backslashes too), then .txt
// replaces the extension. Where none of these folders occurs that means "beside the image"; then a second place is offered: the last folder named
// images (or JPEGImages) replaced by labels.
std::vector<fs::path> label_paths(const std::string& image);

struct Labels {
  fs::path file;  // the one that was read; empty: none exists (an image without objects)
  std::vector<TruthBox> boxes;
  int64_t rows = 0;                   // that are not blank
  int64_t bad_rows = 0;               // skipped
  int64_t clipped = 0;                // boxes that reached beyond the image and were cut at its edge
  std::vector<std::string> problems;  // "FILE:LINE: reason" of the first kMaxProblemsPerFile bad rows
};

inline constexpr size_t kMaxProblemsPerFile = 20;

// A bad row is skipped, the rest is kept. Bad is a row that has not exactly five numbers, a class that is not a whole number in 0..classes-1,
// a width or height <= 0, a box wholly outside the image or centred on exactly 0 0 (the family's mark of an invalid box), a repeated row.
Labels parse_labels(std::string_view text, const std::string& name, int classes);

// Reads the first of label_paths that exists. Throws Error when it is not a regular file, larger than kMaxTextFile or unreadable.
Labels load_labels(const std::string& image, int classes);

}  // namespace dn
