#include "device/cuda/cudnn_planner.h"

#include "base/error.h"

namespace dn::cuda::cudnn {

std::string_view direction_name(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::forward: return "forward";
    case ConvDirection::backward_data: return "backward data";
    case ConvDirection::backward_weights: return "backward weights";
  }
  return "";
}

bool Planner::allowed(const EngineNotes& notes, const ConvProblem& problem) const {
  if (notes.nondeterministic && rules_.deterministic) return false;
  if (notes.narrows_sums) return false;
  const bool full_floats = problem.dtype == DType::f32 && !problem.tensor_cores;
  return !(full_floats && (notes.tensor_cores || notes.narrows_inputs));
}

// Null where cuDNN offers what it then does not do, or where it needs too much workspace.
std::unique_ptr<Plan> Planner::finish(const std::shared_ptr<const Graph>& graph, Descriptor config) const {
  try {
    auto plan = std::make_unique<Plan>(graph, std::move(config));
    return plan->workspace_bytes() <= rules_.workspace_limit ? std::move(plan) : nullptr;
  } catch (const Error&) {
    return nullptr;
  }
}

std::vector<std::unique_ptr<Plan>> Planner::plans(const ConvProblem& problem, ConvDirection direction, int most) const {
  std::vector<std::unique_ptr<Plan>> out;
  std::shared_ptr<const Graph> graph;
  try {
    graph = std::make_shared<const Graph>(target_, problem, direction);
  } catch (const Error&) {
    return out;  // not a convolution in cuDNN's eyes
  }
  std::vector<Descriptor> to_compile;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    if (!out.empty()) break;
    for (Descriptor& config : graph->offered(mode)) {
      if (static_cast<int>(out.size()) == most) break;
      const EngineNotes notes = notes_of(config);
      if (!allowed(notes, problem)) continue;
      if (notes.compiles)
        to_compile.push_back(std::move(config));
      else if (auto plan = finish(graph, std::move(config)))
        out.push_back(std::move(plan));
    }
  }
  for (Descriptor& config : to_compile) {
    if (!out.empty()) break;
    if (auto plan = finish(graph, std::move(config))) out.push_back(std::move(plan));
  }
  return out;
}

std::unique_ptr<Plan> Planner::remake(const ConvProblem& problem, ConvDirection direction, const EngineChoice& choice) const {
  try {
    const auto graph = std::make_shared<const Graph>(target_, problem, direction);
    Descriptor config = config_of(*graph, choice);
    return allowed(notes_of(config), problem) ? finish(graph, std::move(config)) : nullptr;
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace dn::cuda::cudnn
