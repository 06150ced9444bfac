// Chooses what a training plan keeps from forward to backward and what it computes again: memory against operations. Pure, and the same every time.
//
// Cuts divide the network into segments. Between forward and backward an output that is read across a cut is kept; within a segment outputs are computed
// again, from what the convolutions left in `saved` where that is kept, else from the segment's inputs. The last segment's `saved` are always kept:
// backward comes to them at once. Cuts are found by descent on the bytes alive (plan_lifetimes), one cut more at a time, once for each of a few
// shares of the convolutions that are cheap for the memory they would keep; then as much is kept as the budget allows, dearest operations first.
#pragma once

#include <optional>
#include <vector>

#include "graph/lifetimes.h"

namespace dn {

struct Recompute {
  Keep keep;
  int segments = 0;        // 0: everything is kept
  size_t bytes = 0;        // placed
  double operations = 0;   // computed again
};

// One whole forward pass and backward of everything is three times the operations of a forward pass.
double share_of_step(const PlanFacts& facts, double operations);

class RecomputeSearch {
 public:
  explicit RecomputeSearch(const PlanFacts& facts);
  // The cheapest plan found with at most so many bytes and segments; nothing: none was.
  std::optional<Recompute> within(size_t bytes, int segments = kMostSegments) const;
  // The cheapest plan of the fewest bytes found with at most so many segments.
  Recompute smallest(int segments = kMostSegments) const;

  static constexpr int kMostSegments = 16;

 private:
  struct Candidate {
    Keep keep;
    int segments = 0;
    size_t peak = 0;        // most bytes alive at a moment
    double crowding = 0;    // a smooth stand-in for the peak: also sees how near to it the other moments are
    double operations = 0;  // computed again
    double cost = 0;        // and the sweeps over memory, in operations
  };
  Candidate judge(Keep keep, int segments) const;
  Candidate cut(const std::vector<int>& cuts, double share) const;
  void descend(std::vector<int>& cuts, double share, Candidate& best) const;
  void find_cuts(double share);
  Candidate spend(Candidate from, size_t bytes) const;
  size_t placed(const Keep& keep) const;

  const PlanFacts& facts_;
  std::vector<int> tensors_in_home_;      // per layer
  std::vector<int> dearest_;              // layers whose `saved` may be computed again, by operations per byte, the dearest first
  std::vector<double> again_from_;        // per layer: the share from which on it is computed again; the cheapest first, other layers never
  size_t everything_ = 0;                 // peak when all is kept
  std::vector<Candidate> candidates_;
};

}  // namespace dn
