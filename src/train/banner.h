// What a run says before it starts: the cfg's numbers in plain words, the machine, the memory.
#pragma once

#include <nlohmann/json.hpp>

#include "train/trainer.h"

namespace dn {

struct RunFacts {
  const TrainOptions& options;
  const Network& network;
  const Device& device;
  const Resizer& resizer;
  size_t images = 0;  // in the training list
  int64_t start = 0;  // iterations already done
  const WeightsInfo* weights = nullptr;
  PlanReport plan;  // of the size the run starts with, the larger one where layers thaw
  fs::path backup;
  int64_t next_map = -1;  // negative: no evaluation during training
};

// " on the CPU, between copies: layers 12, 14 [crnn]"; empty: none are.
std::string host_layers_text(const Network& network, const PlanReport& plan);
std::vector<std::string> banner(const RunFacts& facts);
nlohmann::ordered_json start_event(const RunFacts& facts);

}  // namespace dn
