#include "train/weight_average.h"

#include <algorithm>

#include "device/cpu/parallel.h"
#include "train/sweeps.h"

namespace dn {
namespace {

constexpr int64_t kLastStretch = 1000;  // iterations from the averages to the end
constexpr size_t kGrain = 1 << 15;      // floats per piece of work

}  // namespace

WeightAverage::WeightAverage(ParamStore& params, double alpha, int64_t max_batches, int64_t start, int threads)
    : params_(params),
      alpha_(alpha),
      begins_(std::max<int64_t>(1, max_batches / 2)),
      takes_over_(std::max(max_batches - kLastStretch, max_batches * 3 / 4)),
      threads_(threads),
      took_over_(start >= takes_over_) {
  average_.assign(params.count(), 0.f);
}

bool WeightAverage::update(int64_t iteration) {
  if (iteration < begins_) return false;
  std::span<float> weights = params_.values();
  if (!started_) {
    std::ranges::copy(weights, average_.begin());
    started_ = true;
  } else {
    cpu::parallel_pieces(threads_, average_.size(), kGrain,
                         [&](size_t first, size_t last) { average_step(alpha_, weights.data() + first, average_.data() + first, last - first); });
  }
  if (took_over_ || iteration < takes_over_) return false;
  took_over_ = true;
  std::ranges::copy(average_, weights.begin());
  params_.touch();
  return true;
}

void WeightAverage::swap() {
  std::ranges::swap_ranges(params_.values(), average_);
  params_.touch();
}

}  // namespace dn
