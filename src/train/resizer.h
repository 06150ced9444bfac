// Multi-scale training (random= of the last head): which network size an iteration uses. Pure, so that a resumed run sees the same sizes.
//
// The size changes every 10 iterations. r ~ U(1, c), c = 1.4 for random=1, else the value of random; inverted with probability 1/2;
//   side = round(r * initial / step + 1) * step    (step: resize_step), at most the initial side when r < 1, at least one step.
// The first 10 iterations (so that a lack of memory shows at once) and the last 100 use the largest size, round(c * initial / step + 1) * step.
#pragma once

#include <cstdint>

#include "graph/network.h"

namespace dn {

struct NetSize {
  int width = 0, height = 0;
  bool operator==(const NetSize&) const = default;
};

class Resizer {
 public:
  // Throws Error when the network asks for it but has a layer that cannot change its size, or does not fit its smallest or largest size.
  Resizer(const Network& network, uint64_t seed);
  Resizer(NetSize initial, int step, double random, int64_t max_iterations, uint64_t seed);

  bool active() const { return factor_ > 0; }
  NetSize at(int64_t iteration) const;  // iteration: updates done before this one
  NetSize initial() const { return initial_; }
  NetSize largest() const;
  NetSize smallest() const;

 private:
  NetSize scaled(double r) const;
  NetSize initial_;
  int step_ = 32;
  double factor_ = 0;  // 0: off
  int64_t max_iterations_ = 0;
  uint64_t seed_ = 0;
};

}  // namespace dn
