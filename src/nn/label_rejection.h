// Labels that are left out towards the end of training (compatibility notes 5.7): what a head still gets very wrong then may be labelled wrongly, and
// what it gets nearly right needs no more teaching. Both are judged by |delta|, the size of one entry of the gradient that a head gives its output.
//
//   m, a, s            rolling maximum, mean and standard deviation of the entries that are not 0: r = .99 r + .01 (of this batch); at first the batch's
//   num_sigmas n       |delta| > max(f, m - p (m - f)), f = a + n s, becomes 0;  p = share of the last quarter of max_batches that has gone by
//   percentage q       |delta| > t becomes 0;  t begins at m and moves by .01 per batch, up when more than q % were left out by it, else down
//   equidistant_point  |delta| < 1.4 p a becomes 0;  p = share of the way from that iteration to max_batches
//
// The bounds of a batch follow from the batches before it only, and a batch's numbers are added up image by image in their order, so nothing depends on
// threads, on the number of subdivisions or on the order in which these are worked on. All heads of a network share the numbers.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "config/net_spec.h"
#include "nn/delta_sums.h"

namespace dn {

class LabelRejection {
 public:
  using Bounds = RejectionBounds;
  // What is carried from batch to batch; all 0 before the first.
  struct State {
    double maximum = 0, mean = 0, deviation = 0, threshold = 0;
    bool operator==(const State&) const = default;
  };

  static bool wanted(const NetSpec& net);
  explicit LabelRejection(const NetSpec& net);

  // Of the batch of this iteration (updates done before it); empty: nothing is measured or left out yet.
  std::optional<Bounds> bounds(uint64_t iteration) const;
  // Where a head puts the sums of the images [first, first + count) of the batch. Before the threads start; a second call clears.
  std::span<DeltaSums> sums(int layer, uint64_t first, size_t count);
  // After the last mini-batch: what was put becomes part of the state. Returns the batch's sums, count 0 when there was nothing.
  DeltaSums finish_batch();

  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  bool rejects(uint64_t iteration) const { return (percentage_ > 0 || sigmas_ > 0) && static_cast<double>(iteration) > start_; }
  bool equidistant(uint64_t iteration) const { return point_ > 0 && static_cast<double>(iteration) > point_; }
  double percentage_, sigmas_, point_, start_, end_;
  State state_;
  std::map<int, std::vector<DeltaSums>> images_;  // per layer
};

// Sums up one image's gradient and applies the bounds to it.
DeltaSums reject_labels(std::span<float> delta, const LabelRejection::Bounds& bounds);

}  // namespace dn
