// Offsets for buffers whose lifetimes are known: greedy by size, first fit. A pure function, no devices.
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
int busiest_step(const std::vector<BufferRequest>& requests);             // the first step with the largest sum of live buffers
size_t memory_lower_bound(const std::vector<BufferRequest>& requests);   // that sum

}  // namespace dn
