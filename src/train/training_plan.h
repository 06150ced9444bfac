// The plan that a run trains with: how it trades operations for memory is decided here, for the run and for `describe`.
#pragma once

#include <memory>
#include <optional>

#include "graph/plan.h"
#include "train/resizer.h"

namespace dn {

struct TrainingPlanRequest {
  NetSize size;
  int mini_batch = 1;
  Frozen frozen;
  size_t memory = 0;   // bytes for everything, on a GPU for everything there; 0: what a GPU has free; on the host no limit, or, for networks that normalize
                       // over whole batches and with smaller_batches, what the machine has free
  bool smaller_batches = false;   // what does not fit is to be cut into more mini-batches (TooLittleMemory), not computed again
  bool only_planned = false;      // PlanOptions::only_planned
};

// There is no room for the plan that a run asks for.
class TooLittleMemory : public Error {
 public:
  TooLittleMemory(const std::string& message, int with_subdivisions) : Error(message), subdivisions(with_subdivisions) {}
  int subdivisions;   // of which it would fit; 0: of none
};

// on_device: what a GPU has free (free_device_memory).
PlanOptions training_plan_options(const Network& network, const TrainingPlanRequest& request, std::optional<size_t> on_device = {});

// Throws DoesNotFit.
std::unique_ptr<Plan> training_plan(Network& network, Device& device, const TrainingPlanRequest& request);
// Throws TooLittleMemory, whose message says what would fit.
std::unique_ptr<Plan> make_training_plan(Network& network, Device& device, const TrainingPlanRequest& request);

// The subdivisions of which a training can choose, from more than the cfg's on: mini-batches hold whole sequences and pairs.
std::vector<int> more_subdivisions(const NetSpec& net);
// What a run says that trains with other subdivisions than its cfg's.
std::string subdivisions_text(const Network& network, int subdivisions);

}  // namespace dn
