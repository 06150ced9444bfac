// Which device a run computes on: what the user said and what the machine has. The one place where devices of commands and trainings are made.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "device/cpu/device.h"
#include "device/cuda/device.h"

namespace dn {

struct DeviceChoice {
  enum class Which { cpu, gpu, automatic };   // automatic: the GPU where there is a usable one
  Which which = Which::cpu;
  cpu::DeviceOptions cpu;                        // its threads are those of the host's work for a GPU too
  cuda::DeviceOptions gpu;
  std::optional<cuda::Precision> precision;      // of a GPU; none: best_precision
  std::vector<int> others;                       // GPUs beside gpu.gpu, for trainings
};

enum class DeviceUse { training, inference };

// bf16 from compute capability 8.0 on (80), which computes in it as fast as in fp16 and needs no loss scale; fp32 before.
cuda::Precision best_precision(int compute_capability);

// Why the GPU that is meant cannot be used; empty: it can.
std::string gpu_obstacle(const DeviceChoice& choice);

// A GPU that cannot be had is one line, and then it is the CPU: for a training, and where the user named a GPU; else without a word. Throws Error when
// the GPU that was named is not one of this machine's, or too old.
std::unique_ptr<Device> open_device(const DeviceChoice& choice, DeviceUse use);
// The same GPU for plans that are only looked at (PlanOptions::only_planned): emulated where the machine has none. For the CPU: as open_device.
std::unique_ptr<Device> open_device_to_plan(const DeviceChoice& choice);

// Bytes that a plan for this device can take now; nothing: it works in the host's memory.
std::optional<size_t> free_device_memory(Device& device);

}  // namespace dn
