#include "train/resizer.h"

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "nn/detection.h"

namespace dn {
namespace {

constexpr int64_t kPeriod = 10, kLargestAtEnd = 100;

double wanted(const Network& network) {
  const auto heads = network.heads();
  return heads.empty() ? 0 : static_cast<double>(heads.back()->random());
}

}  // namespace

Resizer::Resizer(NetSize initial, int step, double random, int64_t max_iterations, uint64_t seed)
    : initial_(initial), step_(std::max(1, step)), factor_(random == 1 ? 1.4 : random), max_iterations_(max_iterations), seed_(seed) {
  if (factor_ > 0 && factor_ < 1) factor_ = 1 / factor_;  // the range is symmetric
}

Resizer::Resizer(const Network& network, uint64_t seed)
    : Resizer({network.spec().width, network.spec().height}, network.spec().resize_step, wanted(network), network.spec().max_batches, seed) {
  if (!active()) return;
  for (const auto& layer : network.layers())
    if (!layer->resizable()) fail(layer->where(), ": cannot change its size during a run; set random=0 in the last head");
  for (const NetSize size : {smallest(), largest()}) {
    try {
      network.output_shapes(network.input(1, size.width, size.height));
    } catch (const Error& e) {
      fail("random=1 trains at sizes from ", smallest().width, " x ", smallest().height, " to ", largest().width, " x ", largest().height, "; at ",
           size.width, " x ", size.height, ": ", e.what());
    }
  }
}

NetSize Resizer::scaled(double r) const {
  const auto side = [&](int from) {
    int value = static_cast<int>(std::lround(r * from / step_ + 1)) * step_;
    if (r < 1 && value > from) value = from;
    return std::max(value, step_);
  };
  return {side(initial_.width), side(initial_.height)};
}

NetSize Resizer::largest() const { return active() ? scaled(factor_) : initial_; }
NetSize Resizer::smallest() const { return active() ? scaled(1 / factor_) : initial_; }

NetSize Resizer::at(int64_t iteration) const {
  if (!active()) return initial_;
  const int64_t block = iteration / kPeriod * kPeriod;
  if (block == 0 || block >= max_iterations_ - kLargestAtEnd) return largest();
  Rng rng(seed_, RandomUse::resize, static_cast<uint64_t>(block));
  double r = rng.uniform(1, factor_);
  if (rng.coin()) r = 1 / r;
  return scaled(r);
}

}  // namespace dn
