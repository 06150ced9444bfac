#include "graph/step_order.h"

namespace dn {

StepOrder::StepOrder(const PlanFacts& facts, const Keep& keep)
    : again_(facts.outputs.size(), -1), backward_(facts.outputs.size(), -1) {
  if (!facts.training) return;
  for (int i = facts.count() - 1; i >= 0; --i) {
    if (!facts.is_step(i) || !facts.wiring.backward[static_cast<size_t>(i)]) continue;
    const Needs& need = facts.needs[static_cast<size_t>(i)];
    if (need.x_in_backward) bring_sources(facts, keep, i);
    const bool output = need.y_in_backward && !keep.output[static_cast<size_t>(facts.home(i))];
    if (output || (facts.saves(i) && !keep.saved[static_cast<size_t>(i)])) run_again(facts, keep, i, output);
    backward_[static_cast<size_t>(i)] = moment(events_.size());
    events_.push_back({.layer = i});
  }
}

// The output is there from now on.
void StepOrder::bring(const PlanFacts& facts, const Keep& keep, int root) {
  if (root != kNetworkInput && !keep.output[static_cast<size_t>(facts.home(root))]) run_again(facts, keep, root, true);
}

void StepOrder::bring_sources(const PlanFacts& facts, const Keep& keep, int layer) {
  for (const int source : facts.wiring.sources[static_cast<size_t>(layer)]) bring(facts, keep, facts.wiring.root_of(source));
}

void StepOrder::run_again(const PlanFacts& facts, const Keep& keep, int layer, bool output) {
  if (again(layer) >= 0) return;
  const int phase = facts.needs[static_cast<size_t>(layer)].output_phase;
  const int from = keep.saved[static_cast<size_t>(layer)] ? phase : 0;
  const bool writes = output || phase == 0;
  if (from == 0) bring_sources(facts, keep, layer);
  if (writes) bring(facts, keep, facts.residual(layer));
  again_[static_cast<size_t>(layer)] = moment(events_.size());
  events_.push_back({.layer = layer, .again = true, .from = from, .output = writes});
}

}  // namespace dn
