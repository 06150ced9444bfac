// Stochastic gradient descent with momentum, or Adam, and weight decay over the flat parameters.
//
//   v <- momentum v + g + decay B w        g: gradient summed over the B images of the batch; decay only where the parameter asks for it
//   w <- w - (rate scale / B) v            scale: the layer's learning_rate key
//
// The family keeps v' = -v in the gradient buffer itself: v' -= decay B w; w += (rate/B) v'; v' *= momentum before the next batch's
// (negative) gradients are added on top. Written out, v'(t) = momentum v'(t-1) - g - decay B w and w += (rate/B) v'(t): the same numbers.
//
// Adam (Kingma and Ba 2015) as the family has it: on the sum over the batch, not the mean, with the decay inside and for every parameter:
//
//   G = g + decay B w;  m <- beta1 m + (1 - beta1) G;  s <- beta2 s + (1 - beta2) G^2
//   w <- w - rate scale (m / (1 - beta1^t)) / (sqrt(s / (1 - beta2^t)) + eps)
//
// t counts the updates that the parameter has had since m and s were zero: in a run from its beginning the number of the batch.
//
// Before anything is changed the gradients are swept for NaN and infinity. A batch with such a gradient is left out: weights, momentum and the
// rolling statistics of the normalization stay as they were before it.
//
// Where the parameters are on a GPU it all happens there (train/update_sweeps.h): the host sends the rules and reads the report.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "train/update_sweeps.h"

namespace dn {

struct AdamOptions {
  double beta1 = .9, beta2 = .999, eps = 1e-6;
};

// What a layer's keys say about its updates.
struct LayerRule {
  float scale = 1;           // factor on the rate
  float clip = 0;            // > 0: after the update weights (not biases and scales) are held in [-clip, clip]
  bool centralize = false;   // g of a filter loses its mean first (gradient centralization; Yong et al., ECCV 2020)
  int64_t first_update = 0;  // iterations below leave values and momentum alone
};

struct OptimizerOptions {
  double momentum = .9, decay = .0005;
  int batch = 1;                  // B, images per update
  std::vector<LayerRule> layers;  // missing: the defaults
  int threads = 1;
  std::optional<AdamOptions> adam = {};  // instead of SGD; momentum is not used then
};

struct UpdateReport {
  bool applied = false;
  double gradient_norm = 0;              // of g / B over everything trained; meaningless when not applied
  double largest = 0;                    // max |g / B| of the finite gradients
  const ParamSegment* broken = nullptr;  // first parameter with a non-finite gradient
};

class Optimizer {
 public:
  // Momentum starts at zero. device: where the gradients are; null: the host.
  Optimizer(ParamStore& params, OptimizerOptions options, Device* device = nullptr);
  // Before the first forward pass of a batch: remembers the rolling statistics for the case that the batch must be left out.
  void begin_batch();
  // Layers with an index below `frozen_layers` keep their weights and their momentum. `iteration`: number of this update in the run, from 1.
  // `loss_scale`: Pass::loss_scale of the passes, a power of 2; the gradients are divided by it.
  UpdateReport update(double rate, int frozen_layers = 0, int64_t iteration = std::numeric_limits<int64_t>::max(), float loss_scale = 1);
  // The update just left out was so for its loss scale: no sign that training diverges.
  void forgive() { --skipped_in_a_row_; }
  int skipped_in_a_row() const { return skipped_in_a_row_; }
  int64_t skipped() const { return skipped_; }
  std::span<float> velocity() { return sweeps_->velocity(); }  // Adam: m; to be read and changed until the next update

 private:
  const LayerRule& rule(const ParamSegment& segment) const;
  UpdateRule numbers(const ParamSegment& segment, double rate) const;
  std::vector<SegmentUpdate> work(double rate, int frozen_layers, int64_t iteration) const;
  size_t index(const ParamSegment& segment) const { return static_cast<size_t>(&segment - params_.segments().data()); }

  ParamStore& params_;
  OptimizerOptions options_;
  std::unique_ptr<UpdateSweeps> sweeps_;
  std::vector<int64_t> updates_;  // of each segment
  int skipped_in_a_row_ = 0;
  int64_t skipped_ = 0;
};

}  // namespace dn
