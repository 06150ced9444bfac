// Training plans by network size, the least recently used one dropped first: multi-scale training comes back to its sizes.
// A plan's arena is large, so few are kept.
#pragma once

#include <list>

#include "graph/plan.h"
#include "train/resizer.h"
#include "train/training_plan.h"

namespace dn {

class PlanCache {
 public:
  PlanCache(Network& network, Device& device, size_t capacity) : network_(network), device_(device), capacity_(capacity) {}
  // Bytes for everything (TrainingPlanRequest::memory).
  void set_memory(size_t bytes) { memory_ = bytes; }
  void set_smaller_batches(bool wanted) { smaller_batches_ = wanted; }   // of TrainingPlanRequest
  void set_there(const BytesThere& bytes) { there_ = bytes; }            // of TrainingPlanRequest
  // The plan of `mini_batch` images of that size; built when it is not there, the others dropped where there is no room beside them. Valid until the next
  // call.
  Plan& training(NetSize size, int mini_batch, const Frozen& frozen);
  void clear() { plans_.clear(); }
  size_t size() const { return plans_.size(); }

 private:
  struct Entry {
    NetSize size;
    int mini_batch;
    Frozen frozen;
    std::unique_ptr<Plan> plan;
  };
  Network& network_;
  Device& device_;
  size_t capacity_, memory_ = 0;
  BytesThere there_;
  bool smaller_batches_ = false;
  std::list<Entry> plans_;  // most recently used first
};

}  // namespace dn
