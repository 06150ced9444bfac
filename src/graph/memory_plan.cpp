#include "graph/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "base/numbers.h"

namespace dn {

MemoryPlan plan_memory(const std::vector<BufferRequest>& requests) {
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return requests[a].bytes > requests[b].bytes; });
  MemoryPlan plan;
  plan.offsets.assign(requests.size(), 0);
  std::vector<size_t> placed;  // by offset
  for (const size_t i : order) {
    const BufferRequest& r = requests[i];
    ensure(r.first <= r.last, "a buffer that dies before it is born");
    if (r.bytes == 0) continue;
    size_t at = 0;
    for (const size_t j : placed) {
      const BufferRequest& other = requests[j];
      if (other.last < r.first || r.last < other.first) continue;
      if (plan.offsets[j] >= at + r.bytes) break;  // fits into the gap before j
      at = std::max(at, round_up(plan.offsets[j] + other.bytes, kBufferAlignment));
    }
    plan.offsets[i] = at;
    plan.bytes = std::max(plan.bytes, at + round_up(r.bytes, kBufferAlignment));
    const auto place = std::upper_bound(placed.begin(), placed.end(), at, [&](size_t offset, size_t j) { return offset < plan.offsets[j]; });
    placed.insert(place, i);
  }
  return plan;
}

namespace {

std::vector<size_t> alive_at(const std::vector<BufferRequest>& requests) {
  int last = 0;
  for (const BufferRequest& r : requests) last = std::max(last, r.last);
  std::vector<size_t> alive(static_cast<size_t>(last) + 1, 0);
  for (const BufferRequest& r : requests)
    for (int t = r.first; t <= r.last; ++t) alive[static_cast<size_t>(t)] += round_up(r.bytes, kBufferAlignment);
  return alive;
}

}  // namespace

int busiest_step(const std::vector<BufferRequest>& requests) {
  const std::vector<size_t> alive = alive_at(requests);
  return static_cast<int>(std::max_element(alive.begin(), alive.end()) - alive.begin());
}

size_t memory_lower_bound(const std::vector<BufferRequest>& requests) {
  const std::vector<size_t> alive = alive_at(requests);
  return *std::max_element(alive.begin(), alive.end());
}

}  // namespace dn
