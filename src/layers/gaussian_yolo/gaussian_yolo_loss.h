// What a [Gaussian_yolo] head learns: nn/anchor_loss.h with coordinates taught by how unlikely the truth is. For a coordinate v with uncertainty s
// whose truth is t:
//
//   N = exp(-z^2 / 2) / (sqrt(2 pi) (s + .3)),  z = (t - v) / s        loss = (2 - w h) / 2 * -ln(N + 1e-9)
//   delta of v = iou_normalizer -d loss / d v      delta of s = uc_normalizer -d loss / d s
//
// iou_loss other than mse replaces the delta of v by that of [yolo]. A box that overlaps a truth by more than ignore_thresh is left alone whatever
// its classes say, and box deltas of a cell with truths of several classes are always averaged. exact_gradient = 1: the derivative with respect to
// the head's inputs, through the sigmoids and scale_x_y.
#pragma once

#include "nn/anchor_loss.h"

namespace dn {

AnchorImageLoss gaussian_yolo_image_loss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths,
                                         float* delta, const Rejection& rejection = {});

}  // namespace dn
