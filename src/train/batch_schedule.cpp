#include "train/batch_schedule.h"

namespace dn {

std::vector<BatchStep> batch_schedule(const NetSpec& net) {
  std::vector<BatchStep> steps;
  const int parts = net.parts();
  const bool two = net.norm.two_forwards();
  for (int m = 0; m < parts && two; ++m) steps.push_back({m, Pass::Stage::gather, false, Write::none});
  for (int i = 0; i < parts; ++i)
    steps.push_back({net.norm.backward_from_last() ? parts - 1 - i : i, two ? Pass::Stage::finish : Pass::Stage::only, true,
                     i == 0 ? Write::overwrite : Write::accumulate});
  return steps;
}

}  // namespace dn
