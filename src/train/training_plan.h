// The plan that a run trains with: how it trades operations for memory is decided here, for the run and for `describe`.
#pragma once

#include <memory>
#include <optional>

#include "graph/plan.h"
#include "train/resizer.h"

namespace dn {

// Of what a run needs on a GPU beside its plan the bytes that it has there already. Whether parameters are there is known.
struct BytesThere {
  size_t state = 0;     // of the optimizer and averages
  size_t drawing = 0;   // for images
};
// Where the optimizer and the averages have all that they will: they were made before, or there are none.
BytesThere bytes_there(const Network& network, DeviceKind device, size_t drawing);

struct TrainingPlanRequest {
  NetSize size;
  int mini_batch = 1;
  Frozen frozen;
  size_t memory = 0;   // bytes for everything, on a GPU for everything there; 0: what a GPU has free; on the host no limit, or, for networks that normalize
                       // over whole batches and with smaller_batches, what the machine has free
  bool smaller_batches = false;   // what does not fit is to be cut into more mini-batches (TooLittleMemory), not computed again
  bool only_planned = false;      // PlanOptions::only_planned
  BytesThere there;
};

// There is no room for the plan that a run asks for.
class TooLittleMemory : public Error {
 public:
  TooLittleMemory(const std::string& message, int with_subdivisions) : Error(message), subdivisions(with_subdivisions) {}
  int subdivisions;   // of which it would fit; 0: of none
};

PlanOptions training_plan_options(const Network& network, Device& device, const TrainingPlanRequest& request);

// Throws DoesNotFit.
std::unique_ptr<Plan> training_plan(Network& network, Device& device, const TrainingPlanRequest& request);
// Throws TooLittleMemory, whose message says what would fit.
std::unique_ptr<Plan> make_training_plan(Network& network, Device& device, const TrainingPlanRequest& request);
// Of a device that ran out of memory although the plan was to fit: another program may have taken it since. No plan is to be alive.
TooLittleMemory too_little_now(Network& network, Device& device, const TrainingPlanRequest& request, const OutOfMemory& why);

// The subdivisions of which a training can choose, from more than the cfg's on: mini-batches hold whole sequences and pairs,
// and as many of them in a row go on with the same sequences (NetSpec::chain).
std::vector<int> more_subdivisions(const NetSpec& net);
// What a run says that trains with other subdivisions than its cfg's.
std::string subdivisions_text(const Network& network, int subdivisions);

}  // namespace dn
