#include "train/weight_average.h"

#include <algorithm>

namespace dn {
namespace {

constexpr int64_t kLastStretch = 1000;  // iterations from the averages to the end

}  // namespace

WeightAverage::WeightAverage(ParamStore& params, double alpha, int64_t max_batches, int64_t start, int threads, Device* device)
    : sweeps_(make_average_sweeps(params, threads, device)),
      alpha_(alpha),
      begins_(std::max<int64_t>(1, max_batches / 2)),
      takes_over_(std::max(max_batches - kLastStretch, max_batches * 3 / 4)),
      took_over_(start >= takes_over_) {}

bool WeightAverage::update(int64_t iteration) {
  if (iteration < begins_) return false;
  if (started_)
    sweeps_->step(alpha_);
  else
    sweeps_->begin();
  started_ = true;
  if (took_over_ || iteration < takes_over_) return false;
  took_over_ = true;
  sweeps_->take_over();
  return true;
}

}  // namespace dn
