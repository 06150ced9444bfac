#include "layers/yolo/yolo_loss.h"

namespace dn {

AnchorImageLoss yolo_image_loss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths,
                                float* delta, const Rejection& rejection) {
  return anchor_image_loss(rules, grid, output, truths, delta, rejection,
                           [](const AnchorCells& cells, int a, size_t cell, const Box& truth, float multiplier, float g[8]) {
                             YoloTeaching{}(cells, a, cell, truth, multiplier, g);
                           });
}

}  // namespace dn
