#include "train/plan_cache.h"

#include <malloc.h>

#include <algorithm>

namespace dn {

Plan& PlanCache::training(NetSize size, int mini_batch, const Frozen& frozen) {
  const auto found = std::find_if(plans_.begin(), plans_.end(),
                                  [&](const Entry& e) { return e.size == size && e.mini_batch == mini_batch && e.frozen == frozen; });
  if (found != plans_.end()) {
    plans_.splice(plans_.begin(), plans_, found);
    return *plans_.front().plan;
  }
  while (!plans_.empty() && plans_.size() >= capacity_) plans_.pop_back();  // before the new one takes memory
  // Layers that thaw during a run (stopbackward=N) never go back: plans in which they stand still are of no use any more.
  plans_.remove_if([&](const Entry& e) { return e.frozen != frozen; });
  const TrainingPlanRequest request{size, mini_batch, frozen, memory_, smaller_batches_, false, there_};
  std::unique_ptr<Plan> plan;
  if (!plans_.empty()) try {
      plan = training_plan(network_, device_, request);
    } catch (const DoesNotFit&) {
      plans_.clear();
    } catch (const OutOfMemory&) {
      plans_.clear();
    }
  if (!plan) plan = make_training_plan(network_, device_, request);
  plans_.push_front({size, mini_batch, frozen, std::move(plan)});
  // Choosing convolution algorithms tries them on buffers of their own; the allocator would keep those pages for the whole run.
  ::malloc_trim(0);
  return *plans_.front().plan;
}

}  // namespace dn
