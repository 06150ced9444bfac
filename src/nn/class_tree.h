// A hierarchy of classes (Redmon and Farhadi, "YOLO9000", 2017). Classes with the same parent form a group with a softmax of its own, so an output is
// the probability of a class given its parent; the product along the way to the root is the probability of the class.
//
// The file has a line `name parent` per class, parent the number of an earlier class or -1. A group is a run of lines with the same parent.
#pragma once

#include <string>
#include <vector>

#include "config/section.h"

namespace dn {

struct ClassTree {
  struct Group {
    int first = 0, size = 0;   // classes first .. first + size - 1
    int parent = -1;
  };
  std::vector<int> parent;     // per class; -1: none
  std::vector<int> group;      // per class: the group it is in
  std::vector<int> child;      // per class: the group of its children; -1: a leaf
  std::vector<Group> groups;

  int classes() const { return static_cast<int>(parent.size()); }
};

// Problems name the file's line. `classes`: how many there must be.
ClassTree read_class_tree(const Section& section, const std::string& file, int classes, Problems& problems);

}  // namespace dn
