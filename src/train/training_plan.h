// The plan that a run trains with: how it trades operations for memory is decided here, for the run and for `describe`.
#pragma once

#include <memory>

#include "graph/plan.h"
#include "train/resizer.h"

namespace dn {

struct TrainingPlanRequest {
  NetSize size;
  int mini_batch = 1;
  Frozen frozen;
  size_t memory = 0;   // bytes for everything; 0: no limit, or, for networks that normalize over whole batches, what the machine has free
};

PlanOptions training_plan_options(const Network& network, const TrainingPlanRequest& request);

// Throws Error when the plan needs more than the memory; the message says what would fit.
std::unique_ptr<Plan> make_training_plan(Network& network, Device& device, const TrainingPlanRequest& request);

}  // namespace dn
