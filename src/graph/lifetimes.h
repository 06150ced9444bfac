// Which buffers a plan needs and between which moments (StepOrder) each must survive: outputs, gradients, saved tensors, scratch. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "graph/memory_plan.h"
#include "graph/step_order.h"

namespace dn {

// Buffers of one layer as indexes into Lifetimes::requests; -1: none. `now` is written by the forward pass; `late` is what backward reads: the same, or
// what is computed again.
struct LayerBuffers {
  struct Forward {
    int y = -1, scratch = -1;
    std::vector<int> saved;
  };
  Forward now, late;
  int dy = -1, backward_scratch = -1;
};

struct BufferName {
  int layer = 0;
  std::string_view what;   // "output", "gradient", "saved", "scratch forward", "scratch backward", "input"
};

struct Lifetimes {
  std::vector<BufferRequest> requests;
  std::vector<BufferName> names;      // of each request
  std::vector<LayerBuffers> layers;
  int input = -1;                     // only when the input must be packed into blocks
};

Lifetimes plan_lifetimes(const PlanFacts& facts, const Keep& keep, const StepOrder& time);

}  // namespace dn
