// A Network: cfg -> layers -> wiring -> parameters. Device-free; a Plan makes it run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/net_spec.h"
#include "nn/label_rejection.h"
#include "nn/layer.h"
#include "nn/param.h"

namespace dn {

// How far layers learn, by index: those below `layers` stand still with all they have, those below `parameters` (at least as many) with their parameters,
// while their running statistics follow the batches.
struct Frozen {
  int layers = 0;       // stopbackward = 1
  int parameters = 0;   // and train_only_bn, and stopbackward = N before iteration N
  bool operator==(const Frozen&) const = default;
};

class Network {
 public:
  // Reads, binds and wires a cfg; allocates its parameters (zero until initialized or loaded). Throws Error with every problem found.
  static Network from_cfg(const fs::path& path);
  static Network from_text(std::string_view text, const std::string& file = "cfg");

  const std::string& file() const { return file_; }
  const NetSpec& spec() const { return spec_; }
  const std::vector<std::unique_ptr<Layer>>& layers() const { return layers_; }
  Shape input(int n, int width, int height) const { return {n, spec_.channels, height, width}; }
  Shape input(int n) const { return input(n, spec_.width, spec_.height); }
  // A batch is cut into as many mini-batches; a divisor of batch.
  void set_subdivisions(int subdivisions) { spec_.subdivisions = subdivisions; }
  // Output shape of every layer for a network input. Throws Error when a layer does not fit.
  std::vector<Shape> output_shapes(const Shape& input) const;
  std::vector<Shape> source_shapes(int layer, const Shape& input, std::span<const Shape> outputs) const;
  ParamStore& params() { return params_; }
  const ParamStore& params() const { return params_; }
  LabelRejection* rejection() { return rejection_.get(); }   // null without its keys in [net]
  std::vector<const Head*> heads() const;      // in layer order
  std::vector<int> head_layers() const;
  Frozen frozen(int64_t iteration) const;      // never more than at an earlier iteration

 private:
  std::string file_;
  NetSpec spec_;
  std::vector<std::unique_ptr<Layer>> layers_;
  ParamStore params_;
  std::unique_ptr<LabelRejection> rejection_;
};

}  // namespace dn
