// Detections of one image of a [yolo] head's output, cell by cell and within a cell anchor by anchor, as the family orders them.
#include "layers/yolo/yolo.h"
#include "layers/yolo/yolo_assignment.h"

namespace dn {

void Yolo::decode(const Tensor& output, int image, const Shape& net, float threshold, std::vector<Detection>& out) const {
  const YoloGrid grid{output.desc.shape.w, output.desc.shape.h, net.w, net.h};
  ensure(output.desc.block == 1 && output.desc.shape.c == rules_.channels(), "decode needs the head's plain output");
  const float* const v = output.data + static_cast<size_t>(image) * output.desc.image_stride();
  for (size_t cell = 0; cell < grid.plane(); ++cell) {
    for (int a = 0; a < static_cast<int>(rules_.mask.size()); ++a) {
      const float objectness = v[yolo_plane(rules_, grid, a, kObjectness) + cell];
      if (!(objectness > threshold)) continue;
      Detection found{.box = yolo_box(rules_, grid, v, a, cell), .objectness = objectness, .prob = {}, .anchor = a, .cell = cell};
      if (!std::isfinite(found.box.x + found.box.y + found.box.w + found.box.h)) continue;  // e^w overflowed: no box
      found.prob.resize(static_cast<size_t>(rules_.classes));
      const float* p = v + yolo_plane(rules_, grid, a, kFirstClass) + cell;
      for (float& prob : found.prob) {
        const float value = objectness * *p;
        prob = value > threshold ? value : 0;
        p += grid.plane();
      }
      out.push_back(std::move(found));
    }
  }
}

std::vector<PositiveCell> Yolo::positives(std::span<const TruthBox> truths, const Shape& grid, const Shape& net) const {
  std::vector<PositiveCell> found;
  const YoloGrid cells{grid.w, grid.h, net.w, net.h};
  for (const TruthBox& truth : yolo_known_truths(rules_, truths))
    each_assignment(rules_, cells, truth.box, [&](int a, size_t cell) { found.push_back({a, cell, truth.class_id, truth.track_id}); });
  return found;
}

}  // namespace dn
