// What a [yolo] head learns: nn/anchor_loss.h with the box taught by
//
//   iou_loss = mse   iou_normalizer (2 - w h) (t - v), t the truth in the terms of the output v
//   otherwise        iou_normalizer d similarity (image/box.h reference_gradient), e^w and e^h in w, h
//
// exact_gradient = 1 replaces the box part by the derivative of the same loss, iou_normalizer (1 - similarity) or half the squared error of mse,
// with respect to the head's inputs: through the box, anchors, network size, exp (new_coords: the square), scale_x_y and the sigmoid. Assignment,
// weights, max_delta and, but for objectness_smooth, the other parts stay: target - p is already the derivative of the binary cross-entropy with
// respect to the sigmoid's input (new_coords: of half the squared error). Similarity is IoU, GIoU, DIoU or CIoU as published; CIoU's alpha is not
// differentiated.
#pragma once

#include "nn/anchor_loss.h"

namespace dn {

struct YoloTeaching {
  DN_HD void operator()(const AnchorCells& cells, int a, size_t cell, const Box& truth, float multiplier, float g[8]) const {
    const AnchorNumbers& rules = cells.rules;
    const float weight = rules.iou_normalizer * multiplier;
    if (rules.iou_loss != IouKind::mse) {
      cells.similarity_gradient(a, cell, truth, g);
      for (int e = 0; e < 4; ++e) g[e] = cells.bounded(g[e] * weight);
      return;
    }
    float t[4];
    cells.targets(a, cell, truth, t);
    for (int e = kX; e <= kH; ++e) {
      const float v = cells.value(a, static_cast<BoxEntry>(e), cell);
      g[e] = (2 - truth.w * truth.h) * (t[e] - v);
      if (rules.exact_gradient && e < kW) g[e] *= cells.position_slope(v);
      g[e] *= weight;
    }
  }
};

AnchorImageLoss yolo_image_loss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths,
                                float* delta, const Rejection& rejection = {});

}  // namespace dn
