// The box loss of one truth at one cell of a [Gaussian_yolo] head (iou_loss = mse), in plain double arithmetic as a function of the head's eight
// inputs there: x, sx, y, sy, w, sw, h, sh. t: what x, y, w, h should be. iou_normalizer and uc_normalizer are 1.
#pragma once

#include <cmath>

namespace dn {

inline double gaussian_yolo_box_loss(const double in[8], const double t[4], double scale_x_y, double truth_area) {
  double loss = 0;
  for (int e = 0; e < 4; ++e) {
    const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
    const double v = e < 2 ? scale_x_y * sigmoid(in[2 * e]) - (scale_x_y - 1) / 2 : in[2 * e], s = sigmoid(in[2 * e + 1]), z = (t[e] - v) / s;
    const double density = std::exp(-z * z / 2) / (std::sqrt(2 * M_PI) * (s + .3));
    loss -= (2 - truth_area) / 2 * std::log(density + 1e-9);
  }
  return loss;
}

}  // namespace dn
