// Non-maximum suppression. A candidate is compared with the boxes kept so far only, found through a grid over the picture: every measure used is at
// most the IoU, so boxes without a common grid cell cannot suppress each other.
#include "nn/detection.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace dn {
namespace {

struct Candidate {
  float prob;
  uint32_t index;
};

class KeptBoxes {
 public:
  KeptBoxes(float threshold, NmsKind kind, float beta) : threshold_(threshold), kind_(kind), beta_(beta) {}

  void clear() {
    for (const size_t cell : used_) cells_[cell].clear();
    used_.clear();
  }

  // Whether a kept box overlaps this one by more than the threshold.
  bool covers(const Box& box) const {
    const Span span(box);
    for (int row = span.top; row <= span.bottom; ++row)
      for (int column = span.left; column <= span.right; ++column)
        for (const Box& kept : cells_[static_cast<size_t>(row * kSide + column)])
          if (measure(kept, box) > threshold_) return true;
    return false;
  }

  void keep(const Box& box) {
    const Span span(box);
    for (int row = span.top; row <= span.bottom; ++row)
      for (int column = span.left; column <= span.right; ++column) {
        const size_t cell = static_cast<size_t>(row * kSide + column);
        if (cells_[cell].empty()) used_.push_back(cell);
        cells_[cell].push_back(box);
      }
  }

 private:
  static constexpr int kSide = 24;

  // Grid cells a box reaches into; what lies outside the picture belongs to the border.
  struct Span {
    int left, right, top, bottom;
    explicit Span(const Box& b) : left(cell(b.x - b.w / 2)), right(cell(b.x + b.w / 2)), top(cell(b.y - b.h / 2)), bottom(cell(b.y + b.h / 2)) {}
    static int cell(float edge) { return edge > 0 ? edge < 1 ? static_cast<int>(edge * kSide) : kSide - 1 : 0; }  // 0 for NaN
  };

  float measure(const Box& kept, const Box& box) const {
    if (std::fabs(kept.x - box.x) * 2 >= kept.w + box.w || std::fabs(kept.y - box.y) * 2 >= kept.h + box.h) return 0;  // apart
    switch (kind_) {
      case NmsKind::standard: return iou(kept, box);
      case NmsKind::greedy: return diou(kept, box);
      case NmsKind::diou: return diou_nms(kept, box, beta_);
    }
    return 0;
  }

  float threshold_;
  NmsKind kind_;
  float beta_;
  std::array<std::vector<Box>, kSide * kSide> cells_;
  std::vector<size_t> used_;
};

// Falling probability; equals stay in the order of the detections.
void sort_candidates(std::vector<Candidate>& candidates) {
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.prob != b.prob ? a.prob > b.prob : a.index < b.index; });
}

}  // namespace

void take_embeddings(const Tensor& output, int image, int anchors, std::span<Detection> detections) {
  const TensorDesc& desc = output.desc;
  const int size = desc.shape.c / anchors;
  for (Detection& d : detections) {
    const int row = static_cast<int>(d.cell) / desc.shape.w, column = static_cast<int>(d.cell) % desc.shape.w;
    d.embedding.clear();
    for (int c = 0; c < size; ++c) d.embedding.push_back(output.at(image, d.anchor * size + c, row, column));
  }
}

void suppress(std::vector<Detection>& detections, int classes, float threshold, NmsKind kind, float beta) {
  std::vector<std::vector<Candidate>> by_class(static_cast<size_t>(std::max(0, classes)));
  for (size_t i = 0; i < detections.size(); ++i) {
    const size_t known = std::min(by_class.size(), detections[i].prob.size());  // heads may differ in their classes
    for (size_t c = 0; c < known; ++c)
      if (detections[i].prob[c] > 0) by_class[c].push_back({detections[i].prob[c], static_cast<uint32_t>(i)});
  }
  KeptBoxes kept(threshold, kind, beta);
  for (size_t c = 0; c < by_class.size(); ++c) {
    sort_candidates(by_class[c]);
    kept.clear();
    for (const Candidate& candidate : by_class[c]) {
      Detection& detection = detections[candidate.index];
      if (kept.covers(detection.box))
        detection.prob[c] = 0;
      else
        kept.keep(detection.box);
    }
  }
}

}  // namespace dn
