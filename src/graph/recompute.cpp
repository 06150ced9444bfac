#include "graph/recompute.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace dn {
namespace {

// What a byte read or written costs, in operations: processors do about so many in the time. Only decides between plans of about equal operations.
constexpr double kOperationsPerByte = 8;
// Shares of the saving layers, the cheapest for their bytes, that segments before the last compute again.
constexpr double kShares[] = {0, .25, .5, 1};
// Further cuts are tried this many times without less memory.
constexpr int kPatience = 2;
constexpr int kAttempts = 5;   // at keeping as much as can be placed

int segment_of(const std::vector<int>& cuts, int layer) {
  return static_cast<int>(std::upper_bound(cuts.begin(), cuts.end(), layer) - cuts.begin());
}

}  // namespace

double share_of_step(const PlanFacts& facts, double operations) {
  const double forward = std::accumulate(facts.operations.begin(), facts.operations.end(), 0.0);
  return forward > 0 ? operations / (3 * forward) : 0;
}

RecomputeSearch::RecomputeSearch(const PlanFacts& facts) : facts_(facts), tensors_in_home_(facts.outputs.size(), 0) {
  for (int i = 0; i < facts.count(); ++i) {
    if (!facts.is_step(i)) continue;
    ++tensors_in_home_[static_cast<size_t>(facts.home(i))];
    // What a loss saves is its gradient: small, needed first in backward, and nothing to report twice.
    if (facts.saves(i) && !facts.network.layers()[static_cast<size_t>(i)]->has_loss()) dearest_.push_back(i);
  }
  const auto per_byte = [&](int i) { return facts.operations[static_cast<size_t>(i)] / static_cast<double>(facts.outputs[static_cast<size_t>(i)].bytes()); };
  std::stable_sort(dearest_.begin(), dearest_.end(), [&](int a, int b) { return per_byte(a) > per_byte(b); });
  again_from_.assign(facts.outputs.size(), 2);
  for (size_t rank = 0; rank < dearest_.size(); ++rank)
    again_from_[static_cast<size_t>(dearest_[rank])] = 1 - static_cast<double>(rank) / static_cast<double>(dearest_.size());
  candidates_.push_back(judge(Keep(facts), 0));
  everything_ = candidates_[0].peak;
  for (const double share : kShares) find_cuts(share);
}

RecomputeSearch::Candidate RecomputeSearch::judge(Keep keep, int segments) const {
  Candidate out{.keep = std::move(keep), .segments = segments};
  const StepOrder order(facts_, out.keep);
  for (const size_t alive : alive_bytes(plan_lifetimes(facts_, out.keep, order).requests)) {
    out.peak = std::max(out.peak, alive);
    if (everything_ > 0) out.crowding += std::pow(static_cast<double>(alive) / static_cast<double>(everything_), 16);
  }
  for (const Event& event : order.events()) {
    if (!event.again) continue;
    const size_t at = static_cast<size_t>(event.layer);
    if (event.from == 0) out.operations += facts_.operations[at];
    if (event.output) out.cost += 2 * kOperationsPerByte * static_cast<double>(facts_.outputs[at].bytes());
  }
  out.cost += out.operations;
  return out;
}

RecomputeSearch::Candidate RecomputeSearch::cut(const std::vector<int>& cuts, double share) const {
  Keep keep(facts_);
  for (int i = 0; i < facts_.count(); ++i)
    keep.saved[static_cast<size_t>(i)] = segment_of(cuts, i) == static_cast<int>(cuts.size()) || again_from_[static_cast<size_t>(i)] > share;
  std::fill(keep.output.begin(), keep.output.end(), false);
  for (int i = 0; i < facts_.count(); ++i) {
    if (!facts_.is_step(i)) continue;
    for (const int source : facts_.wiring.sources[static_cast<size_t>(i)]) {
      const int root = facts_.wiring.root_of(source);
      if (root == kNetworkInput || segment_of(cuts, root) == segment_of(cuts, i)) continue;
      const size_t at = static_cast<size_t>(root), home = static_cast<size_t>(facts_.home(root));
      const bool one_sweep = keep.saved[at] && facts_.needs[at].output_phase > 0 && tensors_in_home_[home] == 1;
      if (!one_sweep) keep.output[home] = true;
    }
  }
  return judge(std::move(keep), static_cast<int>(cuts.size()) + 1);
}

// Moves each cut between its neighbours as long as that helps.
void RecomputeSearch::descend(std::vector<int>& cuts, double share, Candidate& best) const {
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t k = 0; k < cuts.size(); ++k) {
      const int from = k > 0 ? cuts[k - 1] + 1 : 1, to = k + 1 < cuts.size() ? cuts[k + 1] : facts_.count();
      for (int at = from; at < to; ++at) {
        std::vector<int> other = cuts;
        other[k] = at;
        if (Candidate found = cut(other, share); found.crowding < best.crowding) best = std::move(found), cuts = other, moved = true;
      }
    }
  }
}

void RecomputeSearch::find_cuts(double share) {
  std::vector<int> cuts;
  candidates_.push_back(cut(cuts, share));
  size_t least = candidates_.back().peak;
  for (int patience = kPatience; patience > 0 && static_cast<int>(cuts.size()) + 1 < std::min(kMostSegments, facts_.count());) {
    std::optional<Candidate> best;
    std::vector<int> best_cuts;
    for (int at = 1; at < facts_.count(); ++at) {
      std::vector<int> more = cuts;
      const auto place = std::lower_bound(more.begin(), more.end(), at);
      if (place != more.end() && *place == at) continue;
      more.insert(place, at);
      if (Candidate found = cut(more, share); !best || found.crowding < best->crowding) best = std::move(found), best_cuts = more;
    }
    cuts = best_cuts;
    descend(cuts, share, *best);
    patience = best->peak < least ? kPatience : patience - 1;
    if (best->peak < least) candidates_.push_back(*best);
    least = std::min(least, best->peak);
  }
}

// Keeps more, as far as `bytes` go: first what convolutions left, the dearest first, then outputs, from the end, where they live shortest.
RecomputeSearch::Candidate RecomputeSearch::spend(Candidate from, size_t bytes) const {
  const auto take = [&](const Keep& keep) {
    Candidate other = judge(keep, from.segments);
    const bool better = other.peak <= bytes && other.cost < from.cost;
    if (better) from = std::move(other);
    return better;
  };
  for (const int i : dearest_) {
    const size_t at = static_cast<size_t>(i);
    if (from.keep.saved[at]) continue;
    Keep keep = from.keep;
    keep.saved[at] = true;
    if (take(keep) || !keep.output[at] || facts_.home(i) != i) continue;
    keep.output[at] = false;   // in its place
    take(keep);
  }
  for (int i = facts_.count() - 1; i >= 0; --i) {
    const size_t at = static_cast<size_t>(i);
    if (from.keep.output[at] || !facts_.is_step(i) || facts_.home(i) != i) continue;
    Keep keep = from.keep;
    keep.output[at] = true;
    take(keep);
  }
  return from;
}

size_t RecomputeSearch::placed(const Keep& keep) const { return plan_memory(plan_lifetimes(facts_, keep, StepOrder(facts_, keep)).requests).bytes; }

std::optional<Recompute> RecomputeSearch::within(size_t bytes, int segments) const {
  std::optional<Recompute> best;
  double cost = 0;
  for (const Candidate& candidate : candidates_) {
    if (candidate.segments > segments || candidate.peak > bytes) continue;
    // Placing needs a little more than is alive: then less is kept, at last nothing more.
    size_t alive = bytes;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const Candidate found = attempt + 1 < kAttempts && candidate.peak <= alive ? spend(candidate, alive) : candidate;
      if (best && found.cost >= cost) break;
      const size_t needed = placed(found.keep);
      if (needed <= bytes) {
        best = Recompute{found.keep, found.segments, needed, found.operations};
        cost = found.cost;
        break;
      }
      alive -= std::min(alive, needed - bytes);
    }
  }
  return best;
}

Recompute RecomputeSearch::smallest(int segments) const {
  std::optional<size_t> least;
  for (const Candidate& candidate : candidates_)
    if (candidate.segments <= segments) least = std::min(least.value_or(SIZE_MAX), placed(candidate.keep));
  return *within(*least, segments);
}

}  // namespace dn
