// What a run will take of memory, the machine's and a GPU's, from the plan and the cfg: said in the start banner and by `describe`.
#pragma once

#include "graph/plan.h"

namespace dn {

struct MemoryEstimate {
  size_t arena = 0;  // activations, their gradients, scratch: one plan
  size_t parameters = 0, gradients = 0, momentum = 0;  // momentum: all that the optimizer keeps
  size_t averages = 0;                                 // of the parameters (ema_alpha)
  size_t packed = 0;   // what kernels keep of their own: at inference weights as the convolutions want them; standardized ones, those of past batches
  size_t images = 0;   // on a GPU: images on their way to the input (drawing_bytes)
  size_t batches = 0;  // loader: the batch in work and the one ahead; for a GPU their 8-bit pixels, at most four times as many as the input has, pinned
  size_t process = 0;  // program, libraries, threads, decoders
  DeviceKind device = DeviceKind::cpu;
  // On a GPU; the host keeps a copy of parameters and gradients beside.
  size_t on_device() const { return device == DeviceKind::cpu ? 0 : arena + parameters + gradients + momentum + averages + packed + images; }
  size_t on_host() const {
    const size_t host = parameters + gradients + batches + process;
    return device == DeviceKind::cpu ? host + arena + momentum + averages + packed : host;
  }
  size_t total() const { return on_device() + on_host(); }
};

MemoryEstimate estimate_training(const Network& network, const PlanReport& plan, int width, int height, DeviceKind device = DeviceKind::cpu);
MemoryEstimate estimate_inference(const Network& network, const PlanReport& plan, int images, DeviceKind device = DeviceKind::cpu);

// What a GPU needs to draw so many images of a training at a time (cuda::ImageInput::most_bytes).
size_t drawing_bytes(const Network& network, int images, int width, int height);

// What a run may take when nobody says: four fifths of what the machine has free now.
size_t free_memory();

size_t peak_resident_bytes();  // of this process so far

}  // namespace dn
