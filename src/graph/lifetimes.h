// Which buffers a plan needs and between which of its moments each must survive: outputs, gradients, saved tensors, scratch. Pure.
//
// Moments: 0 the input is set; then the forward steps in order; in training then, from the last segment to the first, its forward steps once more
// (not for the last segment, whose tensors are still there) and its backward steps in reverse; then the end.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/memory_plan.h"
#include "graph/slices.h"

namespace dn {

// Runs of layers. Between forward and backward only what later segments read of a segment is kept; the rest is computed again.
struct Segments {
  std::vector<int> first = {0};   // first layer of each
  int count() const { return static_cast<int>(first.size()); }
  int of(int layer) const;
};

class Timeline {
 public:
  Timeline(int layers, bool training, Segments segments);
  const Segments& segments() const { return segments_; }
  bool again(int layer) const { return again_[static_cast<size_t>(layer)] >= 0; }
  int forward(int layer) const { return 1 + layer; }
  int again_at(int layer) const { return again_[static_cast<size_t>(layer)]; }
  int backward(int layer) const { return backward_[static_cast<size_t>(layer)]; }
  int end() const { return end_; }

 private:
  Segments segments_;
  std::vector<int> again_, backward_;
  int end_ = 0;
};

// Buffers of one layer as indexes into Lifetimes::requests; -1: none. `now` is written by the forward pass; `late` is what backward reads: the same, or
// what the second forward pass of a segment writes.
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
  std::string what;   // "output", "gradient", "saved", "scratch forward", "scratch backward", "input"
};

struct Lifetimes {
  std::vector<BufferRequest> requests;
  std::vector<BufferName> names;      // of each request
  std::vector<LayerBuffers> layers;
  int input = -1;                     // only when the input must be packed into blocks
};

struct LifetimeFacts {
  const Network& network;
  const Wiring& wiring;
  const Slices& slices;
  std::span<const TensorDesc> outputs;   // per layer
  TensorDesc input;
  std::span<const Needs> needs;          // per layer
  bool training = false;
  bool keep_outputs = false;
};

Lifetimes plan_lifetimes(const LifetimeFacts& facts, const Timeline& time);

// Cuts a network into `count` segments of about equal memory, each cut at the place in reach where the least must be kept.
Segments cut_segments(const LifetimeFacts& facts, int count);

}  // namespace dn
