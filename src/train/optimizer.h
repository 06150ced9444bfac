// Stochastic gradient descent with momentum and weight decay over the flat parameters.
//
//   v <- momentum v + g + decay B w        g: gradient summed over the B images of the batch; decay only where the parameter asks for it
//   w <- w - (rate scale / B) v            scale: the layer's learning_rate key
//
// The family keeps v' = -v in the gradient buffer itself: v' -= decay B w; w += (rate/B) v'; v' *= momentum before the next batch's
// (negative) gradients are added on top. Written out, v'(t) = momentum v'(t-1) - g - decay B w and w += (rate/B) v'(t): the same numbers.
//
// Before anything is changed the gradients are swept for NaN and infinity. A batch with such a gradient is left out: weights, momentum and the
// rolling statistics of the normalization stay as they were before it.
#pragma once

#include <vector>

#include "nn/param.h"

namespace dn {

struct OptimizerOptions {
  double momentum = .9, decay = .0005;
  int batch = 1;                   // B, images per update
  std::vector<float> layer_scale;  // per layer, factor on the rate; missing: 1
  int threads = 1;
};

struct UpdateReport {
  bool applied = false;
  double gradient_norm = 0;              // of g / B over everything trained; meaningless when not applied
  double largest = 0;                    // max |g / B| of the finite gradients
  const ParamSegment* broken = nullptr;  // first parameter with a non-finite gradient
};

class Optimizer {
 public:
  Optimizer(ParamStore& params, OptimizerOptions options);  // momentum starts at zero
  // Before the first forward pass of a batch: remembers the rolling statistics for the case that the batch must be left out.
  void begin_batch();
  // Layers with an index below `frozen_layers` keep their weights and their momentum.
  UpdateReport update(double rate, int frozen_layers = 0);
  int skipped_in_a_row() const { return skipped_in_a_row_; }
  int64_t skipped() const { return skipped_; }
  std::span<float> velocity() { return velocity_; }

 private:
  struct Piece;
  UpdateReport check(int frozen_layers);
  void restore_statistics();

  ParamStore& params_;
  OptimizerOptions options_;
  std::vector<float> velocity_, statistics_;
  int skipped_in_a_row_ = 0;
  int64_t skipped_ = 0;
};

}  // namespace dn
