// A Plan: one network compiled for one device, one input shape, one mode. Flat steps over planned addresses in one arena.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "device/device.h"
#include "graph/network.h"

namespace dn {

inline constexpr int kAutomatic = -1;   // segments

struct PlanOptions {
  bool training = false;
  Frozen frozen;              // training
  int segments = 0;           // training. 0: everything that backward needs is kept; N: it computes what it can again, in at most so many parts and as
                              // little memory as these allow; kAutomatic: as little again as the budget allows
  size_t budget = 0;          // bytes; plans that need more are refused (DoesNotFit). 0: no limit
  bool slices = true;         // false: every route copies, every sum is a step of its own (tests)
  bool keep_outputs = false;  // every layer's output stays readable after forward (tests, golden comparison); see PlanReport::summing_layers
  bool only_planned = false;  // what it would take, in report(), memory() and choices(): it takes no memory for activations and does not run
  bool timed = false;         // times() are true on devices that work while the host goes on, which costs such a plan its speed
};

struct PlanReport {
  size_t arena_bytes = 0;         // activations, gradients, saved tensors, scratch
  size_t everything_live = 0;     // the same without reuse
  size_t scratch_bytes = 0;
  size_t kernel_bytes = 0;        // weights that inference kernels keep packed, beside the arena
  int segments = 0;               // as made
  double again = 0;               // operations that backward computes again, as a share of a whole step's
  int forward_steps = 0, backward_steps = 0, reorders = 0;
  std::vector<int> host_layers;   // of a plan for a GPU: those whose kernel runs on the host, between copies
  std::vector<int> summing_layers;   // those that finish the [shortcut] behind them: their output is its (Layer::finishes_sums)
};

// How memory can be traded for operations.
struct PlanChoice {
  int segments = 0;
  size_t arena_bytes = 0;
  double again = 0;
};

// No plan within PlanOptions::budget, or none with that many segments.
class DoesNotFit : public Error {
 public:
  DoesNotFit(const std::string& message, size_t as_asked, size_t at_least) : Error(message), needed(as_asked), least(at_least) {}
  size_t needed;  // bytes of the plan that was asked for
  size_t least;   // of the smallest, whatever its segments
};

// Seconds spent in one layer's steps since the plan was made.
struct StepTime {
  int layer = 0;
  double forward = 0, backward = 0;
};

// One buffer of the arena.
struct MemoryRow {
  int layer = 0;
  std::string what;          // "output", "gradient", "saved", "scratch forward", "scratch backward", "input"
  size_t bytes = 0, offset = 0;
  bool at_peak = false;      // alive at the step where most is alive
};

class Plan {
 public:
  Plan(Network& network, Device& device, const Shape& input, const PlanOptions& options);
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  const Shape& input_shape() const;
  // input_shape().n planar images [C,H,W] of floats. The memory is read until the backward pass is done: it must stay as it is until then.
  void set_input(const float* images);
  // The same where the device makes the images itself: `fill` puts the work on its stream that writes them into the tensor, as it is stored there.
  void fill_input(const std::function<void(const Tensor&)>& fill);
  void forward(const Pass& pass);     // all steps in order
  void backward(const Pass& pass);    // all steps in reverse; training plans only
  // Of heads, their embedding layers and the last layer, and with keep_outputs of all: until the next forward, in training until backward. Readable by the host.
  Tensor output(int layer) const;
  Tensor output_gradient(int layer) const;   // null when none; with keep_outputs only
  const LossReport& loss(int layer) const;   // of the last forward pass
  LossReport take_losses(int layer);         // the sum over the backward passes since the last call
  const PlanReport& report() const;
  std::vector<StepTime> times() const;   // in layer order, views left out
  std::vector<MemoryRow> memory() const;
  // By number of segments, as long as more of them need less memory. Training plans only.
  std::vector<PlanChoice> choices() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dn
