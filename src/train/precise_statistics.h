// Running statistics taken anew with the weights as they are (Precise-BN, Wu and Johnson 2021): `precise_bn` mini-batches of augmented training images
// go forward, and their statistics, merged, stand in for the averages of the run as long as the object lives. Weights that are evaluated and kept
// (best, final) have them; training goes on with its own.
#pragma once

#include "data/loader.h"
#include "graph/plan.h"

namespace dn {

class PreciseStatistics {
 public:
  // Gives up, leaving all as it was, when a signal ends the run. The images are the same each time: they depend on the seed alone. `plan`: for training.
  PreciseStatistics(Network& network, Plan& plan, const Dataset& images, LoaderOptions options);
  ~PreciseStatistics();
  PreciseStatistics(const PreciseStatistics&) = delete;
  PreciseStatistics& operator=(const PreciseStatistics&) = delete;

 private:
  ParamStore& params_;
  std::vector<float> before_;
};

}  // namespace dn
