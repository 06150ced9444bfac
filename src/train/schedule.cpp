#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/rng.h"

namespace dn {
namespace {

// A cycle ends at start + length inclusive: the next one begins with the batch after it.
double sgdr(const NetSpec& net, int64_t b) {
  double start = 0, cycle = net.sgdr_cycle > 0 ? net.sgdr_cycle : std::max(1, net.max_batches);
  const double now = static_cast<double>(b);
  while (start + cycle < now) {
    start += cycle;
    cycle *= std::max(1, net.sgdr_mult);
  }
  return net.learning_rate_min + .5 * (net.learning_rate - net.learning_rate_min) * (1 + std::cos((now - start) * std::numbers::pi / cycle));
}

double steps(const NetSpec& net, int64_t b) {
  double value = net.learning_rate;
  for (size_t i = 0; i < net.steps.size() && i < net.scales.size(); ++i)
    if (net.steps[i] <= b) value *= static_cast<double>(net.scales[i]);
  return value;
}

// The share of the run still ahead. In single precision, as the family has it: near the end the difference cancels, and published logs show it.
double remaining(const NetSpec& net, int64_t b) {
  const float done = static_cast<float>(b) / static_cast<float>(std::max(1, net.max_batches));
  return std::max(0.f, 1.f - done);
}

}  // namespace

double rate(const NetSpec& net, int64_t b, uint64_t seed) {
  const double lr = net.learning_rate;
  const double batch = static_cast<double>(b);
  if (b < net.burn_in) return lr * std::pow(batch / net.burn_in, net.power);
  if (net.policy == "step") return lr * std::pow(net.scale, static_cast<double>(b / std::max(1, net.step)));
  if (net.policy == "steps") return steps(net, b);
  // The family keeps gamma, and its product with the batch, as floats; large exponents show it.
  const float gamma = static_cast<float>(net.gamma);
  if (net.policy == "exp") return lr * std::pow(static_cast<double>(gamma), batch);
  if (net.policy == "poly") return lr * std::pow(remaining(net, b), net.power);
  if (net.policy == "sig" || net.policy == "sigmoid") return lr / (1 + std::exp(static_cast<double>(gamma * static_cast<float>(b - net.step))));
  if (net.policy == "random") return lr * std::pow(Rng(seed, RandomUse::schedule, static_cast<uint64_t>(b)).uniform(), net.power);
  if (net.policy == "sgdr") return sgdr(net, b);
  return lr;
}

}  // namespace dn
