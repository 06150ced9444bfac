// What a run will take of the machine's memory, from the plan and the cfg: said in the start banner and by `describe`.
#pragma once

#include "graph/plan.h"

namespace dn {

struct MemoryEstimate {
  size_t arena = 0;  // activations, their gradients, scratch: one plan
  size_t parameters = 0, gradients = 0, momentum = 0;  // momentum: all that the optimizer keeps
  size_t averages = 0;                                 // of the parameters (ema_alpha)
  size_t packed = 0;   // what kernels keep of their own: at inference weights as the convolutions want them; standardized ones, those of past batches
  size_t batches = 0;  // loader: the batch in work and the one ahead
  size_t process = 0;  // program, libraries, threads, decoders
  size_t total() const { return arena + parameters + gradients + momentum + averages + packed + batches + process; }
};

MemoryEstimate estimate_training(const Network& network, const PlanReport& plan, int width, int height, int loader_prefetch = 1);
MemoryEstimate estimate_inference(const Network& network, const PlanReport& plan, int images);

// What a run may take when nobody says: four fifths of what the machine has free now.
size_t free_memory();

size_t peak_resident_bytes();  // of this process so far

}  // namespace dn
