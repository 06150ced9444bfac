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

#include <numbers>

#include "nn/anchor_loss.h"

namespace dn {

struct GaussianTeaching {
  struct Slopes {
    double value = 0, uncertainty = 0;
  };
  static constexpr double kAtLeast = .3, kEpsilon = 1e-9;   // of the deviation in N, and beside N

  // d ln(N + epsilon) / d v, d s.
  DN_HD static Slopes log_likelihood_slopes(double t, double v, double s) {
    const double z = (t - v) / s, deviation = s + kAtLeast;
    const double density = std::exp(-z * z / 2) / (std::sqrt(2 * std::numbers::pi) * deviation), share = density / (density + kEpsilon);
    return {share * z / s, share * (z * z / s - 1 / deviation)};
  }

  DN_HD void operator()(const AnchorCells& cells, int a, size_t cell, const Box& truth, float multiplier, float g[8]) const {
    const AnchorNumbers& rules = cells.rules;
    const double weight = (2 - static_cast<double>(truth.w) * truth.h) / 2;
    float t[4], similarity[4];
    cells.targets(a, cell, truth, t);
    if (rules.iou_loss != IouKind::mse) cells.similarity_gradient(a, cell, truth, similarity);
    for (int e = kX; e <= kH; ++e) {
      const float v = cells.value(a, static_cast<BoxEntry>(e), cell), s = cells.output[cells.at(a, 2 * e + 1, cell)];
      Slopes slopes = log_likelihood_slopes(t[e], v, s);
      if (rules.exact_gradient) {
        if (e < kW) slopes.value *= cells.position_slope(v);
        slopes.uncertainty *= static_cast<double>(s) * (1 - s);
      }
      const double of_value = rules.iou_loss == IouKind::mse ? weight * slopes.value : similarity[e];
      g[2 * e] = cells.bounded(static_cast<float>(of_value * rules.iou_normalizer * multiplier));
      g[2 * e + 1] = cells.bounded(static_cast<float>(weight * slopes.uncertainty * rules.uc_normalizer));
    }
  }
};

AnchorImageLoss gaussian_yolo_image_loss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths,
                                         float* delta, const Rejection& rejection = {});

}  // namespace dn
