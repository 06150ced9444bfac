// A [region] head's keys in the form its arithmetic wants. Its output is laid out as that of other heads of anchors (nn/anchor_rules.h); the anchors
// are sizes in cells, so the grid to be given with these rules has its own cells as network size.
#pragma once

#include "nn/anchor_rules.h"
#include "nn/class_tree.h"

namespace dn {

// The keys that are single numbers, beside those of all heads of anchors.
struct RegionNumbers {
  bool softmax = false, rescore = false, bias_match = false;
  int classfix = 0;
  float thresh = .5f, coord_scale = 1, object_scale = 1, noobject_scale = 1, class_scale = 1;
};

struct RegionRules : AnchorRules, RegionNumbers {
  ClassTree tree;   // without classes: none

  bool has_tree() const { return tree.classes() > 0; }
};

// The rules as the arithmetic sees them, on the host and in GPU kernels.
struct RegionView : AnchorView, RegionNumbers {
  const int* parent = nullptr;   // of the tree, as in ClassTree; null: none
  const int* group = nullptr;
  const ClassTree::Group* groups = nullptr;
};

inline RegionView view_of(const RegionRules& rules) {
  const bool tree = rules.has_tree();
  return {view_of(static_cast<const AnchorRules&>(rules)), rules, tree ? rules.tree.parent.data() : nullptr, tree ? rules.tree.group.data() : nullptr,
          tree ? rules.tree.groups.data() : nullptr};
}

inline AnchorGrid region_grid(int columns, int rows) { return {columns, rows, columns, rows}; }

}  // namespace dn
