#include "graph/memory_plan.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace dn {
namespace {

std::vector<BufferRequest> random_requests(uint64_t seed, int count) {
  Rng rng(seed, RandomUse::test);
  std::vector<BufferRequest> requests;
  for (int i = 0; i < count; ++i) {
    const int first = static_cast<int>(rng.below(60));
    requests.push_back({rng.below(5000), first, first + static_cast<int>(rng.below(20))});
  }
  return requests;
}

bool meet(size_t a, size_t a_bytes, size_t b, size_t b_bytes) { return a < b + b_bytes && b < a + a_bytes; }

TEST(memory_plan, no_two_live_buffers_share_a_byte) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto requests = random_requests(seed, 80);
    const MemoryPlan plan = plan_memory(requests);
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(plan.offsets[i] % kBufferAlignment, 0u);
      EXPECT_LE(plan.offsets[i] + requests[i].bytes, plan.bytes);
      for (size_t j = 0; j < i; ++j) {
        if (requests[i].last < requests[j].first || requests[j].last < requests[i].first) continue;
        EXPECT_FALSE(meet(plan.offsets[i], requests[i].bytes, plan.offsets[j], requests[j].bytes)) << "seed " << seed << ": " << i << ", " << j;
      }
    }
    EXPECT_GE(plan.bytes, memory_lower_bound(requests));
  }
}

TEST(memory_plan, reuses_dead_buffers) {
  // A chain: each buffer lives for two steps, so two places are enough for all.
  std::vector<BufferRequest> chain;
  for (int i = 0; i < 20; ++i) chain.push_back({1024, i, i + 1});
  EXPECT_EQ(plan_memory(chain).bytes, 2048u);
  EXPECT_EQ(memory_lower_bound(chain), 2048u);
  EXPECT_EQ(busiest_step(chain), 1);
}

TEST(memory_plan, is_deterministic) {
  const auto requests = random_requests(3, 100);
  EXPECT_EQ(plan_memory(requests).offsets, plan_memory(requests).offsets);
}

}  // namespace
}  // namespace dn
