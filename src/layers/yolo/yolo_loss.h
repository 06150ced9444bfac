// Assignment of truths to cells and the loss of a [yolo] head, on plain arrays.
//
// delta = -d Loss / d output, the sign and the scale of the darknet family:
//   objectness   obj_normalizer (target - p); target 0; nothing where the box overlaps a truth by more than ignore_thresh and some class is > .25
//   classes      one-hot - p at assigned cells; with counters_per_class the positive one times the multiplier of its class times cls_normalizer
//   box          iou_normalizer d similarity (box.h reference_gradient), e^w and e^h in w, h; or for iou_loss = mse (2 - w h) (t - v)
// A truth is assigned to the cell of its centre and, of all anchors, to the one whose shape is nearest (if this head has it); with iou_thresh < 1
// also to every other anchor of this head whose shape overlaps by more than that.
//
// exact_gradient = 1 replaces the box part by the derivative of the same loss, iou_normalizer (1 - similarity) or half the squared error of mse,
// with respect to the head's inputs: through the box, anchors, network size, exp (new_coords: the square), scale_x_y and the sigmoid. Assignment,
// weights, max_delta and the other parts stay: target - p is already the derivative of the binary cross-entropy with respect to the sigmoid's
// input (new_coords: of half the squared error). With objectness_smooth the target of every assigned cell becomes its box's largest overlap with a
// truth, where the family leaves a cell that does not pass ignore_thresh at target 0 and one above truth_thresh at the square. Similarity is IoU, GIoU, DIoU or CIoU as published; CIoU's alpha is not differentiated.
#pragma once

#include <span>

#include "image/truth.h"
#include "layers/yolo/yolo_rules.h"
#include "nn/kernel.h"
#include "nn/label_rejection.h"

namespace dn {

// Sums over one image.
struct YoloImageLoss {
  double box_squares = 0, other_squares = 0;   // of the deltas
  double iou_sum = 0;                          // over the assignments
  double dissimilarity_sum = 0;                // 1 - IoU, or 1 - GIoU when that is the loss
  int64_t assigned = 0, truths = 0, rewritten = 0;
};

// Which entries of an image's delta become 0 in the end, and where their sums go; null: none, unmeasured.
struct Rejection {
  LabelRejection::Bounds bounds = {};
  DeltaSums* sums = nullptr;
};

// output, delta: [C,H,W]; delta is overwritten. Truths of unknown classes and without extent are passed over; at most rules.max_truths are seen.
YoloImageLoss yolo_image_loss(const YoloRules& rules, const YoloGrid& grid, const float* output, std::span<const TruthBox> truths, float* delta,
                              const Rejection& rejection = {});

// The mini-batch's report, as the family prints it; images are summed in their order.
LossReport yolo_report(const YoloRules& rules, std::span<const YoloImageLoss> images);

// Overlap of the shape w x h (relative) with one of all anchors, centres aligned.
float anchor_overlap(IouKind kind, const YoloRules& rules, const YoloGrid& grid, float w, float h, int anchor);

// The anchor of all whose shape overlaps a truth of w x h (relative) most, centres aligned; the first of equals.
int nearest_anchor(const YoloRules& rules, const YoloGrid& grid, float w, float h);

}  // namespace dn
