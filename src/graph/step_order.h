// In which order a training plan runs its kernels when not everything is kept from forward to backward. Pure.
//
// Forward runs every layer once. Backward goes through the layers in reverse; before a layer's backward, what that reads and was not kept is computed
// again, in forward order, each layer at most once. Of a normalized convolution two things can be kept, each for itself: z, which the convolution
// leaves in Needs::saved, and y = activate(norm(z)). With z at hand y costs one sweep.
#pragma once

#include <span>
#include <vector>

#include "graph/slices.h"

namespace dn {

// What was compiled, as far as memory goes.
struct PlanFacts {
  const Network& network;
  const Wiring& wiring;
  const Slices& slices;
  std::span<const TensorDesc> outputs;   // per layer
  TensorDesc input;
  std::span<const Needs> needs;          // per layer
  std::span<const double> operations;    // per layer, of one forward pass
  bool training = false;
  bool keep_outputs = false;

  int count() const { return static_cast<int>(outputs.size()); }
  bool is_step(int layer) const { return !network.layers()[static_cast<size_t>(layer)]->is_view(); }
  // The layer whose tensor the output lies in.
  int home(int layer) const { return slices.outputs[static_cast<size_t>(layer)].home; }
  // What the layer reads besides when it writes its output; kNetworkInput: nothing. The sum behind it, which comes later, counts as its reader.
  int residual(int layer) const { return slices.residual[static_cast<size_t>(layer)]; }
  // Saves something that a second forward pass would have to make again.
  bool saves(int layer) const {
    const Needs& need = needs[static_cast<size_t>(layer)];
    return need.saved.size() > (need.saved_once >= 0 ? 1u : 0u);
  }
};

// Per layer: whether it stays from forward to backward.
struct Keep {
  std::vector<bool> saved;    // what the layer saves
  std::vector<bool> output;   // its tensor, with the slices in it; by PlanFacts::home
  explicit Keep(const PlanFacts& facts) : saved(facts.outputs.size(), true), output(facts.outputs.size(), true) {}
};

// One kernel call in backward.
struct Event {
  int layer = 0;
  bool again = false;   // forward once more, phases from `from` to the end, or to Needs::output_phase without `output`
  int from = 0;
  bool output = true;
};

class StepOrder {
 public:
  StepOrder(const PlanFacts& facts, const Keep& keep);
  const std::vector<Event>& events() const { return events_; }   // behind the forward pass
  // Moments: 0 the input is set; then the forward steps; then the events; then the end. -1: never.
  int forward(int layer) const { return 1 + layer; }
  int again(int layer) const { return again_[static_cast<size_t>(layer)]; }
  int backward(int layer) const { return backward_[static_cast<size_t>(layer)]; }
  int end() const { return moment(events_.size()); }
  const Event& event(int moment) const { return events_[static_cast<size_t>(moment) - 1 - again_.size()]; }

 private:
  int moment(size_t event) const { return 1 + static_cast<int>(again_.size() + event); }
  void bring(const PlanFacts& facts, const Keep& keep, int root);
  void bring_sources(const PlanFacts& facts, const Keep& keep, int layer);
  void run_again(const PlanFacts& facts, const Keep& keep, int layer, bool output);

  std::vector<Event> events_;
  std::vector<int> again_, backward_;
};

}  // namespace dn
