// Assignment of truths to cells and the loss of a head of anchors, on plain arrays. What teaches the box is the part that heads differ in.
//
// delta = -d Loss / d output, the sign and the scale of the darknet family:
//   objectness   obj_normalizer (target - p); target 0; nothing where the box overlaps a truth by more than ignore_thresh and, in [yolo], some class is
//                > .25
//   classes      one-hot - p at assigned cells; with counters_per_class the positive one times the multiplier of its class times cls_normalizer
//   box          BoxTeaching
// objectness_smooth: where ignore_thresh is passed the overlap is the target. With exact_gradient the target of every assigned cell becomes its box's
// largest overlap with a truth, where the family leaves a cell that does not pass ignore_thresh at target 0 and one above truth_thresh at the square.
// A truth is assigned to the cell of its point and, of all anchors, to the one whose shape is nearest (if this head has it); with iou_thresh < 1
// also to every other anchor of this head whose shape overlaps by more than that.
#pragma once

#include <functional>
#include <span>

#include "image/truth.h"
#include "nn/anchor_cells.h"
#include "nn/kernel.h"
#include "nn/label_rejection.h"

namespace dn {

// The first `max` truths that a head can learn from, with its classes: those of known class (class_of >= 0) and with an extent.
std::vector<TruthBox> known_truths(std::span<const TruthBox> truths, int max, const std::function<int(int)>& class_of);

// Largest IoU of each of an anchor's boxes with any of the truths. workspace: 4 x grid.plane() floats; best: grid.plane().
void best_overlaps(const AnchorRules& rules, const AnchorGrid& grid, const float* output, int a, std::span<const TruthBox> truths, float* workspace,
                   float* best);

// Which entries of an image's delta become 0 in the end, and where their sums go; null: none, unmeasured.
struct Rejection {
  LabelRejection::Bounds bounds = {};
  DeltaSums* sums = nullptr;
};

// What one truth adds to the box entries of a cell (AnchorCells says more).
using BoxTeaching = void (*)(const AnchorCells& cells, int a, size_t cell, const Box& truth, float multiplier, float g[8]);

// The loss of one image. output, delta: [C,H,W]; delta is overwritten. Truths of unknown classes and without extent are passed over; at most
// rules.max_truths are seen.
AnchorImageLoss anchor_image_loss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths,
                                  float* delta, const Rejection& rejection, BoxTeaching teach);

// The mini-batch's report, as the family prints it; images are summed in their order.
DN_HD inline LossReport anchor_report(const AnchorNumbers& rules, const AnchorImageLoss* images, size_t count) {
  LossReport report;
  double box = 0, other = 0, dissimilarity = 0;
  for (size_t i = 0; i < count; ++i) {
    const AnchorImageLoss& image = images[i];
    box += image.box_squares;
    other += image.other_squares;
    dissimilarity += image.dissimilarity_sum;
    report.iou_sum += image.iou_sum;
    report.assigned += image.assigned;
    report.truths += image.truths;
    report.rewritten += image.rewritten;
  }
  const double images_seen = count == 0 ? 1 : static_cast<double>(count), assigned = report.assigned > 1 ? static_cast<double>(report.assigned) : 1;
  report.total_loss = (box + other) / images_seen;
  report.class_loss = rules.obj_normalizer * other / images_seen;
  report.iou_loss = report.total_loss - report.class_loss;
  report.cost = rules.iou_loss == IouKind::mse ? box + other : rules.iou_normalizer * dissimilarity / assigned + rules.obj_normalizer * other;
  return report;
}
inline LossReport anchor_report(const AnchorNumbers& rules, std::span<const AnchorImageLoss> images) {
  return anchor_report(rules, images.data(), images.size());
}

}  // namespace dn
