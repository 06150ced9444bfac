// Memory of the emulated device (emulation.cpp). Two files make it: with pages that are closed to the host, or, under AddressSanitizer, from the
// heap, where every byte beyond a block is noticed.
#pragma once

#include <memory>

#include "device/device.h"

namespace dn::cuda {

std::unique_ptr<DeviceMemory> emulated_memory(size_t bytes);   // zero

// All of it is open while one of these lives.
class EmulatedAccess {
 public:
  EmulatedAccess();
  ~EmulatedAccess();
  EmulatedAccess(const EmulatedAccess&) = delete;
  EmulatedAccess& operator=(const EmulatedAccess&) = delete;
};

}  // namespace dn::cuda
