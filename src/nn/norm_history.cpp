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

void NormHistory::take(const WeightJacobian* jacobian, double values, bool first) {
  values_ = first ? values : values_ + values;
  if (!jacobian) return;
  average_in(mean_by_weight_, jacobian->mean, values / values_, first);
  average_in(square_by_weight_, jacobian->square, values / values_, first);
}

std::vector<Moments> NormHistory::pooled(std::span<const Moments> present, const WeightJacobian* jacobian) const {
  const size_t channels = present.size(), q = jacobian ? jacobian->weights.size() / channels : 0;
  std::vector<Moments> out(channels);
  for (size_t c = 0; c < channels; ++c) {
    double mean = present[c].mean, square = present[c].variance() + mean * mean, batches = 1;
    for (const Batch& batch : past_) {
      double then = batch.mean[c], then_square = batch.square[c];
      if (jacobian) {
        const auto now = row(jacobian->weights, c, channels, q), before = row(batch.weights, c, channels, q);
        then += along(row(batch.mean_by_weight, c, channels, q), now, before);
        then_square += along(row(batch.square_by_weight, c, channels, q), now, before);
      }
      if (!std::isfinite(then) || !std::isfinite(then_square)) continue;
      mean += then;
      square += std::max(then_square, then * then);
      ++batches;
    }
    mean /= batches;
    const double count = present[c].count * batches;
    // Alone, the present batch keeps its own M2: no rounding by way of the squares.
    out[c] = batches == 1 ? present[c] : Moments{count, mean, std::max(square / batches - mean * mean, 0.0) * count};
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
