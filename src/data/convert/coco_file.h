// An annotation file of COCO's form: JSON with images, annotations and categories. Read in one pass that keeps boxes only, so that the outlines of
// 860000 objects (450 MB of text) do not fill the memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/files.h"

namespace dn {

struct CocoFile {
  struct Object {
    size_t category = 0;                              // index into categories
    double left = 0, top = 0, width = 0, height = 0;  // pixels
    double area = 0;                                  // of the object; of its box where the file gives none
    bool crowd = false;
  };
  struct Image {
    int64_t id = 0;
    std::string file;
    int width = 0, height = 0;  // 0: not given
    std::vector<Object> objects;
  };
  struct Category {
    int64_t id = 0;
    std::string name;
  };
  std::vector<Category> categories;  // by rising id
  std::vector<Image> images;         // by rising id
};

// Throws Error "FILE: annotations[17] ..." for what is missing, of the wrong kind, or refers to nothing.
CocoFile read_coco_file(const fs::path& path);

}  // namespace dn
