// Cross-iteration batch normalization (Yao et al. 2020): the statistics of past batches, carried to the weights of today by their first derivatives.
//   y = W P:   dmean/dW = E[P],   dE[y^2]/dW = 2 E[y P]
//   mean_t = mean + dmean/dW (W_t - W),   square_t = max(square + dsquare/dW (W_t - W), mean_t^2)
// The mean is exact for unchanged inputs; the square misses only a term of second order that is never negative, hence the maximum.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "nn/moments.h"

namespace dn {

// Derivatives of one mini-batch's statistics by the weights of its layer, and these weights. A layer without weights has none.
struct WeightJacobian {
  std::span<const float> weights;   // [channels, Q]
  std::span<const float> mean;      // [groups, Q]: one row for all channels of a group
  std::span<const float> square;    // [channels, Q]
};

class NormHistory {
 public:
  // The next mini-batch of the present batch: `values` of a channel in it; `first`: it begins the batch.
  void take(const WeightJacobian* jacobian, double values, bool first, size_t channels);
  // Pools the present batch's statistics with those of past batches, all with the same weight. count: the present one's times their number.
  std::vector<Moments> pooled(std::span<const Moments> present) const;
  // The present batch is over: it becomes a past one, unless it is not finite; at most `kept` of them stay.
  void close(std::span<const Moments> present, const WeightJacobian* jacobian, int kept);
  void clear() { past_.clear(); }
  size_t size() const { return past_.size(); }

 private:
  struct Batch {
    std::vector<double> mean, square;   // per channel
    std::vector<float> weights, mean_by_weight, square_by_weight;
  };
  struct Sums {   // of one channel over the past batches, at the weights of the present one, which stand still during it
    double mean = 0, square = 0, batches = 0;
  };
  void carry(const WeightJacobian* jacobian, size_t channels);

  std::deque<Batch> past_;
  std::vector<Sums> carried_;                              // per channel
  std::vector<float> mean_by_weight_, square_by_weight_;   // of the present batch so far
  double values_ = 0;
};

// What a layer's normalization remembers from batch to batch beside its parameters. Lives with the network, so that plans of other sizes share it.
struct NormState {
  int64_t updates = 0;   // of the running statistics so far; the first ones weigh more
  NormHistory history;
};

}  // namespace dn
