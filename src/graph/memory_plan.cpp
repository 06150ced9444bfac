#include "graph/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "base/numbers.h"

namespace dn {
namespace {

// First fit, in the order of falling `weight`.
MemoryPlan place(const std::vector<BufferRequest>& requests, const std::vector<size_t>& weight) {
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return weight[a] > weight[b]; });
  MemoryPlan plan;
  plan.offsets.assign(requests.size(), 0);
  std::vector<size_t> placed;  // by offset
  for (const size_t i : order) {
    const BufferRequest& r = requests[i];
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

}  // namespace

MemoryPlan plan_memory(const std::vector<BufferRequest>& requests) {
  std::vector<size_t> size, duration, product;
  for (const BufferRequest& r : requests) {
    ensure(r.first <= r.last, "a buffer that dies before it is born");
    size.push_back(r.bytes);
    duration.push_back(static_cast<size_t>(r.last - r.first) + 1);
    product.push_back(size.back() * duration.back());
  }
  MemoryPlan best = place(requests, size);
  for (const auto* weight : {&product, &duration})
    if (MemoryPlan other = place(requests, *weight); other.bytes < best.bytes) best = std::move(other);
  return best;
}

std::vector<size_t> alive_bytes(const std::vector<BufferRequest>& requests) {
  int last = 0;
  for (const BufferRequest& r : requests) last = std::max(last, r.last);
  std::vector<size_t> alive(static_cast<size_t>(last) + 2, 0);   // first as differences from step to step, which may wrap around
  for (const BufferRequest& r : requests) {
    alive[static_cast<size_t>(r.first)] += round_up(r.bytes, kBufferAlignment);
    alive[static_cast<size_t>(r.last) + 1] -= round_up(r.bytes, kBufferAlignment);
  }
  std::partial_sum(alive.begin(), alive.end(), alive.begin());
  return alive;
}

int busiest_step(const std::vector<BufferRequest>& requests) {
  const std::vector<size_t> alive = alive_bytes(requests);
  return static_cast<int>(std::max_element(alive.begin(), alive.end()) - alive.begin());
}

size_t memory_lower_bound(const std::vector<BufferRequest>& requests) {
  const std::vector<size_t> alive = alive_bytes(requests);
  return *std::max_element(alive.begin(), alive.end());
}

}  // namespace dn
