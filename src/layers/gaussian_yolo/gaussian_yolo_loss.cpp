#include "layers/gaussian_yolo/gaussian_yolo_loss.h"

#include <numbers>

namespace dn {
namespace {

constexpr double kAtLeast = .3, kEpsilon = 1e-9;   // of the deviation in N, and beside N

struct Slopes {
  double value = 0, uncertainty = 0;
};

// d ln(N + epsilon) / d v, d s.
Slopes log_likelihood_slopes(double t, double v, double s) {
  const double z = (t - v) / s, deviation = s + kAtLeast;
  const double density = std::exp(-z * z / 2) / (std::sqrt(2 * std::numbers::pi) * deviation), share = density / (density + kEpsilon);
  return {share * z / s, share * (z * z / s - 1 / deviation)};
}

class GaussianYoloLoss : public AnchorLoss {
 public:
  using AnchorLoss::AnchorLoss;

 private:
  void box_delta(int a, size_t cell, const Box& truth, float multiplier, float g[8]) const override {
    const double weight = (2 - static_cast<double>(truth.w) * truth.h) / 2;
    float t[4], similarity[4];
    targets(a, cell, truth, t);
    if (rules_.iou_loss != IouKind::mse) similarity_gradient(a, cell, truth, similarity);
    for (const BoxEntry e : {kX, kY, kW, kH}) {
      const float v = value(a, e, cell), s = output_[at(a, rules_.entry_of(e) + 1, cell)];
      Slopes slopes = log_likelihood_slopes(t[e], v, s);
      if (rules_.exact_gradient) {
        if (e < kW) slopes.value *= position_slope(v);
        slopes.uncertainty *= static_cast<double>(s) * (1 - s);
      }
      const double of_value = rules_.iou_loss == IouKind::mse ? weight * slopes.value : similarity[e];
      g[2 * e] = bounded(static_cast<float>(of_value * rules_.iou_normalizer * multiplier));
      g[2 * e + 1] = bounded(static_cast<float>(weight * slopes.uncertainty * rules_.uc_normalizer));
    }
  }
};

}  // namespace

AnchorImageLoss gaussian_yolo_image_loss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths,
                                         float* delta, const Rejection& rejection) {
  return GaussianYoloLoss(rules, grid, output, truths, delta).run(rejection);
}

}  // namespace dn
