// A Plan: one network compiled for one device, one input shape, one mode. Flat steps over planned addresses in one arena.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "graph/network.h"

namespace dn {

struct PlanOptions {
  bool training = false;
  int frozen_layers = 0;      // layers with a lower index are not trained
  bool keep_outputs = false;  // every layer's output stays readable after forward (tests, golden comparison)
};

struct PlanReport {
  size_t arena_bytes = 0;         // activations, gradients, saved tensors, scratch
  size_t everything_live = 0;     // the same without reuse
  size_t scratch_bytes = 0;
  int forward_steps = 0, backward_steps = 0, reorders = 0;
};

class Plan {
 public:
  Plan(Network& network, cpu::Device& device, const Shape& input, const PlanOptions& options);
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  const Shape& input_shape() const;
  // Copies `n` planar images [C,H,W] of floats into the input. n == input_shape().n.
  void set_input(const float* images);
  void forward(const Pass& pass);     // all steps in order
  void backward(const Pass& pass);    // all steps in reverse; training plans only
  Tensor output(int layer) const;     // valid until the next forward for the last layer, for heads, and for all with keep_outputs
  Tensor output_gradient(int layer) const;   // null when none; with keep_outputs only
  const LossReport& loss(int layer) const;
  const PlanReport& report() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dn
