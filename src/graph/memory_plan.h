// Offsets for buffers whose lifetimes are known: first fit, the largest first, or the longest lived, whichever needs least.
// Pure functions, no devices.
#pragma once

#include <cstddef>
#include <vector>

namespace dn {

struct BufferRequest {
  size_t bytes = 0;
  int first = 0, last = 0;   // steps (inclusive) between which the contents must survive
};

struct MemoryPlan {
  std::vector<size_t> offsets;   // per request, multiples of kBufferAlignment
  size_t bytes = 0;              // arena size
};

inline constexpr size_t kBufferAlignment = 64;

MemoryPlan plan_memory(const std::vector<BufferRequest>& requests);
std::vector<size_t> alive_bytes(const std::vector<BufferRequest>& requests);   // sum of live buffers per step, and 0 behind the last
int busiest_step(const std::vector<BufferRequest>& requests);                  // the first step with the largest sum
size_t memory_lower_bound(const std::vector<BufferRequest>& requests);         // that sum

}  // namespace dn
