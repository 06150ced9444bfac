#include "train/plan_cache.h"

#include <malloc.h>

#include <algorithm>

#include "train/memory_estimate.h"

namespace dn {

Plan& PlanCache::training(NetSize size, int mini_batch, int frozen_layers) {
  const auto found = std::find_if(plans_.begin(), plans_.end(),
                                  [&](const Entry& e) { return e.size == size && e.mini_batch == mini_batch && e.frozen_layers == frozen_layers; });
  if (found != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, found);
    return *plans_.front().plan;
  }
  while (!plans_.empty() && plans_.size() >= capacity_) plans_.pop_back();  // before the new one takes memory
  // Layers that thaw or freeze during a run (stopbackward=N) never go back: plans with another number are of no use any more.
  plans_.remove_if([&](const Entry& e) { return e.frozen_layers != frozen_layers; });
  PlanOptions options;
  options.training = true;
  options.frozen_layers = frozen_layers;
  if (network_.spec().norm.whole_batch()) {
    const int segments = network_.spec().norm.exact_segments();
    options.segments = std::max(1, segments);
    if (segments < 0) options.budget = arena_budget(network_, size.width, size.height, memory_);
  }
  plans_.push_front(
      {size, mini_batch, frozen_layers, std::make_unique<Plan>(network_, device_, network_.input(mini_batch, size.width, size.height), options)});
  // Choosing convolution algorithms tries them on buffers of their own; the allocator would keep those pages for the whole run.
  ::malloc_trim(0);
  return *plans_.front().plan;
}

}  // namespace dn
