// A .data file (train, valid, names, backup, ... ) and the .names file it points to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"

namespace dn {

struct DataFile {
  std::string file;                 // its own path
  std::string train, valid;         // image lists as written; valid defaults to train
  std::string names;                // .names file
  std::string backup = "backup";    // folder of snapshots
  std::string results = "results";  // output folder of `detector valid`
  std::string eval = "voc";         // voc|coco|bdd|kitti|imagenet
  std::string difficult, map;       // optional files; empty when absent
  int classes = 0;                  // 0: not given
  int saveweights = 0;              // 0: not given (then by max_batches)
  int savelast = 100;
};

// Throws Error with every problem (place first). Relative paths inside stay as written: resolve them with resolve_path.
DataFile read_data_file(const fs::path& path);

// A relative path is tried against the folder of `near` (a file), then against the working directory. Returns the first that exists,
// else the first tried. Absolute paths come back unchanged.
fs::path resolve_path(std::string_view written, const fs::path& near);

// One name a line; blank lines at the end are dropped, blank lines inside count as names (as in the family).
std::vector<std::string> read_names(const fs::path& path);

}  // namespace dn
