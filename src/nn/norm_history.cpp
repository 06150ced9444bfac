#include "nn/norm_history.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace dn {
namespace {

// rows [.., q] of a channel in a table with fewer rows: groups share them.
std::span<const float> row(std::span<const float> table, size_t channel, size_t channels, size_t q) {
  const size_t rows = table.size() / q;
  return table.subspan(channel / (channels / rows) * q, q);
}

double along(std::span<const float> slope, std::span<const float> to, std::span<const float> from) {
  double sum = 0;
  for (size_t i = 0; i < slope.size(); ++i) sum += static_cast<double>(slope[i]) * (static_cast<double>(to[i]) - static_cast<double>(from[i]));
  return sum;
}

void average_in(std::vector<float>& mean, std::span<const float> value, double share, bool first) {
  if (first) {
    mean.assign(value.begin(), value.end());
    return;
  }
  for (size_t i = 0; i < mean.size(); ++i) mean[i] = static_cast<float>(mean[i] + share * (static_cast<double>(value[i]) - mean[i]));
}

bool finite(std::span<const Moments> moments) {
  return std::ranges::all_of(moments, [](const Moments& m) { return std::isfinite(m.mean) && std::isfinite(m.m2); });
}

}  // namespace

void NormHistory::take(const WeightJacobian* jacobian, double values, bool first, size_t channels) {
  if (first) carry(jacobian, channels);
  values_ = first ? values : values_ + values;
  if (!jacobian) return;
  average_in(mean_by_weight_, jacobian->mean, values / values_, first);
  average_in(square_by_weight_, jacobian->square, values / values_, first);
}

void NormHistory::carry(const WeightJacobian* jacobian, size_t channels) {
  const size_t q = jacobian ? jacobian->weights.size() / channels : 0;
  carried_.assign(channels, {});
  for (const Batch& batch : past_)
    for (size_t c = 0; c < channels; ++c) {
      double mean = batch.mean[c], square = batch.square[c];
      if (jacobian) {
        const auto now = row(jacobian->weights, c, channels, q), before = row(batch.weights, c, channels, q);
        mean += along(row(batch.mean_by_weight, c, channels, q), now, before);
        square += along(row(batch.square_by_weight, c, channels, q), now, before);
      }
      if (!std::isfinite(mean) || !std::isfinite(square)) continue;
      Sums& sums = carried_[c];
      sums.mean += mean;
      sums.square += std::max(square, mean * mean);
      ++sums.batches;
    }
}

std::vector<Moments> NormHistory::pooled(std::span<const Moments> present) const {
  std::vector<Moments> out(present.begin(), present.end());
  for (size_t c = 0; c < out.size(); ++c) {
    const Sums& past = carried_[c];
    if (past.batches == 0) continue;   // alone, the present batch keeps its own M2: no rounding by way of the squares
    const double batches = past.batches + 1, own = present[c].mean, mean = (own + past.mean) / batches;
    const double square = (present[c].variance() + own * own + past.square) / batches, count = present[c].count * batches;
    out[c] = {count, mean, std::max(square - mean * mean, 0.0) * count};
  }
  return out;
}

void NormHistory::close(std::span<const Moments> present, const WeightJacobian* jacobian, int kept) {
  if (!finite(present) || kept < 1) return;
  Batch batch;
  for (const Moments& m : present) {
    batch.mean.push_back(m.mean);
    batch.square.push_back(m.variance() + m.mean * m.mean);
  }
  if (jacobian) {
    batch.weights.assign(jacobian->weights.begin(), jacobian->weights.end());
    batch.mean_by_weight = mean_by_weight_;
    batch.square_by_weight = square_by_weight_;
  }
  past_.push_back(std::move(batch));
  while (past_.size() > static_cast<size_t>(kept)) past_.pop_front();
}

}  // namespace dn
