// A [detection] head's keys in the form its arithmetic wants, and where things lie in one image of its output.
#pragma once

#include <cstddef>

#include "base/host_device.h"
#include "image/box.h"

namespace dn {

struct DetectionRules {
  int classes = 1, num = 1, side = 7, max_truths = 200;
  bool softmax = false, sqrt = false, rescore = false, forced = false, random = false;
  float coord_scale = 1, object_scale = 1, noobject_scale = 1, class_scale = 1;

  int class_of(int label) const { return label >= 0 && label < classes ? label : -1; }
  DN_HD size_t cells() const { return static_cast<size_t>(side) * static_cast<size_t>(side); }
  DN_HD size_t outputs() const { return cells() * static_cast<size_t>(classes + 5 * num); }
  DN_HD size_t classes_at(size_t cell) const { return cell * static_cast<size_t>(classes); }
  DN_HD size_t confidence_at(size_t cell, int box) const {
    return cells() * static_cast<size_t>(classes) + cell * static_cast<size_t>(num) + static_cast<size_t>(box);
  }
  DN_HD size_t box_at(size_t cell, int box) const {
    return cells() * static_cast<size_t>(classes + num) + (cell * static_cast<size_t>(num) + static_cast<size_t>(box)) * 4;
  }
};

// The box relative to the picture.
DN_HD inline Box detection_box(const DetectionRules& rules, const float* output, size_t cell, int box) {
  const float* const v = output + rules.box_at(cell, box);
  const size_t side = static_cast<size_t>(rules.side);
  const float cells = static_cast<float>(rules.side), column = static_cast<float>(cell % side), row = static_cast<float>(cell / side);
  return {(column + v[0]) / cells, (row + v[1]) / cells, rules.sqrt ? v[2] * v[2] : v[2], rules.sqrt ? v[3] * v[3] : v[3]};
}

}  // namespace dn
