// A [region] head's keys in the form its arithmetic wants. Its output is laid out as that of other heads of anchors (nn/anchor_rules.h); the anchors
// are sizes in cells, so the grid to be given with these rules has its own cells as network size.
#pragma once

#include "nn/anchor_rules.h"
#include "nn/class_tree.h"

namespace dn {

struct RegionRules : AnchorRules {
  bool softmax = false, rescore = false, bias_match = false;
  int classfix = 0;
  float thresh = .5f, coord_scale = 1, object_scale = 1, noobject_scale = 1, class_scale = 1;
  ClassTree tree;   // without classes: none

  bool has_tree() const { return tree.classes() > 0; }
};

inline AnchorGrid region_grid(int columns, int rows) { return {columns, rows, columns, rows}; }

}  // namespace dn
