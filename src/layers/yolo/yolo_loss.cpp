#include "layers/yolo/yolo_loss.h"

namespace dn {
namespace {

class YoloLoss : public AnchorLoss {
 public:
  using AnchorLoss::AnchorLoss;

 private:
  void box_delta(int a, size_t cell, const Box& truth, float multiplier, float g[8]) const override {
    const float weight = rules_.iou_normalizer * multiplier;
    if (rules_.iou_loss != IouKind::mse) {
      similarity_gradient(a, cell, truth, g);
      for (int e = 0; e < 4; ++e) g[e] = bounded(g[e] * weight);
      return;
    }
    float t[4];
    targets(a, cell, truth, t);
    for (const BoxEntry e : {kX, kY, kW, kH}) {
      const float v = value(a, e, cell);
      g[e] = (2 - truth.w * truth.h) * (t[e] - v);
      if (rules_.exact_gradient && e < kW) g[e] *= position_slope(v);
      g[e] *= weight;
    }
  }
};

}  // namespace

AnchorImageLoss yolo_image_loss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths,
                                float* delta, const Rejection& rejection) {
  return YoloLoss(rules, grid, output, truths, delta).run(rejection);
}

}  // namespace dn
