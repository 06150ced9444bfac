// Which engine of cuDNN computes a convolution: those that the heuristics name, less those that the rules forbid.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "device/cuda/cudnn_graph.h"

namespace dn::cuda::cudnn {

std::string_view direction_name(ConvDirection direction);  // "forward", "backward data", "backward weights"

class Planner {
 public:
  Planner(Target target, const ConvRules& rules) : target_(std::move(target)), rules_(rules) {}
  const Target& target() const { return target_; }

  // Finished plans that the rules allow, at most `most`, the best by the heuristics first. Engines that come ready with cuDNN go before those that it
  // compiles first, which takes seconds each: the latter only where there are none of the former.
  std::vector<std::unique_ptr<Plan>> plans(const ConvProblem& problem, ConvDirection direction, int most) const;
  // The plan of an earlier choice; null where it cannot be made now, or is against the rules.
  std::unique_ptr<Plan> remake(const ConvProblem& problem, ConvDirection direction, const EngineChoice& choice) const;

 private:
  bool allowed(const EngineNotes& notes, const ConvProblem& problem) const;
  std::unique_ptr<Plan> finish(const std::shared_ptr<const Graph>& graph, Descriptor config) const;

  Target target_;
  ConvRules rules_;
};

}  // namespace dn::cuda::cudnn
