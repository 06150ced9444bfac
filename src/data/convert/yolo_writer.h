// An annotated set as one that `detector train` takes: label files, train.txt, valid.txt, NAME.names, NAME.data.
#pragma once

#include <string>
#include <vector>

#include "data/convert/annotated_set.h"

namespace dn {

struct YoloWriterOptions {
  fs::path source;    // the folder of the annotations
  fs::path out;       // empty: into `source`, the labels where the images' labels belong; else links to the images and labels beside them go here
  bool copy = false;  // copies of the images instead of links
  bool keep_difficult = false;  // difficult objects are objects like others
};

struct PartCounts {
  int64_t images = 0, objects = 0;
  int64_t difficult = 0;                     // not among the objects
  int64_t unusable_images = 0;               // missing or no image; not in the list
  int64_t other_size = 0;                    // images that are not as large as annotated
  int64_t cut = 0, empty = 0, repeated = 0;  // boxes cut at the image's edge; left out because nothing remains; left out
  std::vector<std::string> remarks;          // the first of each kind, with its place
};

struct YoloWriterReport {
  PartCounts train, valid;
  fs::path data_file;
};

// Throws Error when no training image is usable, when `out` holds something else, and when files cannot be written. NAME is the set's format.
YoloWriterReport write_yolo(const AnnotatedSet& set, const YoloWriterOptions& options);

// Lines for the console.
std::vector<std::string> summary(const YoloWriterReport& report);

}  // namespace dn
