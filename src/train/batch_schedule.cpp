#include "train/batch_schedule.h"

#include <algorithm>

namespace dn {
namespace {

constexpr double kShare = .8;  // of the pixels of the largest mini-batch

}  // namespace

std::vector<BatchStep> batch_schedule(const NetSpec& net, int parts) {
  std::vector<BatchStep> steps;
  const bool two = net.norm.two_forwards();
  for (int m = 0; m < parts && two; ++m) steps.push_back({m, Pass::Stage::gather, false, Write::none});
  for (int i = 0; i < parts; ++i)
    steps.push_back({net.norm.backward_from_last() ? parts - 1 - i : i, two ? Pass::Stage::finish : Pass::Stage::only, true,
                     i == 0 ? Write::overwrite : Write::accumulate});
  return steps;
}

Pass pass_of(const BatchStep& step, const BatchFacts& batch) {
  const int first = step.mini_batch * batch.mini_batch;
  Pass pass;
  pass.training = true;
  pass.stage = step.stage;
  pass.param_grads = step.param_grads;
  pass.micro_step = step.mini_batch;
  pass.micro_steps = batch.parts;
  pass.iteration = batch.iteration;
  pass.seed = batch.seed;
  pass.first_image = static_cast<uint64_t>(first);
  pass.truth = batch.truth.subspan(static_cast<size_t>(first), static_cast<size_t>(batch.mini_batch));
  // With two rounds the mini-batches do not follow each other; see check_batch.
  pass.continues = step.stage == Pass::Stage::only && place_of(batch.layout, batch.parts * batch.mini_batch, first).frame > 0;
  return pass;
}

int mini_batch_at(const NetSpec& net, NetSize size, NetSize largest) {
  const int ordinary = net.mini_batch();
  if (!net.dynamic_minibatch || net.time_steps > 1) return ordinary;
  const auto pixels = [](NetSize s) { return static_cast<double>(s.width) * s.height; };
  int images = static_cast<int>(std::clamp(kShare * ordinary * pixels(largest) / pixels(size), static_cast<double>(ordinary), static_cast<double>(net.batch)));
  while (net.batch % images != 0) --images;  // ends at the ordinary mini-batch at the latest
  return images;
}

}  // namespace dn
