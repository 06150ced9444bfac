// What the GPUs of one run exchange: sums and copies between their memories, each in the order of its GPU's stream.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "device/cuda/device.h"

namespace dn::cuda {

class Links {
 public:
  virtual ~Links() = default;
  virtual std::string description() const = 0;   // "links by NCCL 2.28.9"
  // buffers: one of each device, in the order of open_links. The first's becomes the sum of all; the others' stay.
  virtual void sum_into_first(std::span<float* const> buffers, size_t count) = 0;
  // All others become what the first's is.
  virtual void copy_from_first(std::span<void* const> buffers, size_t bytes) = 0;
};

// Of NCCL, which is opened now, or of the emulation. The devices are different ones and outlive the links. Throws Error, one line, when there is no NCCL.
std::unique_ptr<Links> open_links(std::span<Device* const> devices);
std::unique_ptr<Links> nccl_links(std::span<Device* const> devices);

}  // namespace dn::cuda
