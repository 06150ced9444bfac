#include "nn/label_rejection.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dn {
namespace {

constexpr double kShareOfNew = .01, kThresholdStep = .01, kEquidistantFactor = 1.4;
constexpr float kNoBound = std::numeric_limits<float>::infinity();

void roll(double& value, double now) { value = value == 0 ? now : (1 - kShareOfNew) * value + kShareOfNew * now; }

}  // namespace

bool LabelRejection::wanted(const NetSpec& net) {
  return net.badlabels_rejection_percentage > 0 || net.num_sigmas_reject_badlabels > 0 || net.equidistant_point > 0;
}

LabelRejection::LabelRejection(const NetSpec& net)
    : percentage_(net.badlabels_rejection_percentage),
      sigmas_(net.num_sigmas_reject_badlabels),
      point_(net.equidistant_point),
      start_(net.max_batches * .75),
      end_(net.max_batches) {}

std::optional<LabelRejection::Bounds> LabelRejection::bounds(uint64_t iteration) const {
  if (!rejects(iteration) && !equidistant(iteration)) return std::nullopt;
  Bounds bounds{kNoBound, 0, kNoBound};
  if (state_.maximum == 0) return bounds;  // the first batch is only measured
  const auto progress = [&](double from) { return std::clamp((static_cast<double>(iteration) - from) / std::max(end_ - from, 1.0), 0.0, 1.0); };
  if (rejects(iteration) && sigmas_ > 0) {
    const double last = state_.mean + sigmas_ * state_.deviation;
    bounds.above = static_cast<float>(std::max(last, state_.maximum - progress(start_) * (state_.maximum - last)));
  }
  if (rejects(iteration) && percentage_ > 0) {
    bounds.threshold = static_cast<float>(state_.threshold);
    bounds.above = std::min(bounds.above, bounds.threshold);
  }
  if (equidistant(iteration)) bounds.below = static_cast<float>(kEquidistantFactor * progress(point_) * state_.mean);
  return bounds;
}

std::span<DeltaSums> LabelRejection::sums(int layer, uint64_t first, size_t count) {
  std::vector<DeltaSums>& images = images_[layer];
  const size_t from = static_cast<size_t>(first);
  if (images.size() < from + count) images.resize(from + count);
  std::fill_n(images.begin() + static_cast<std::ptrdiff_t>(from), count, DeltaSums{});
  return std::span(images).subspan(from, count);
}

DeltaSums LabelRejection::finish_batch() {
  DeltaSums batch;
  for (auto& [layer, images] : images_) {
    for (const DeltaSums& image : images) batch += image;
    images.clear();
  }
  if (batch.count == 0 || !std::isfinite(batch.squares)) return batch;
  const bool first = state_.maximum == 0;
  const double mean = batch.sum / batch.count;
  roll(state_.maximum, batch.largest);
  roll(state_.mean, mean);
  roll(state_.deviation, std::sqrt(std::max(0.0, batch.squares / batch.count - mean * mean)));
  if (first)
    state_.threshold = state_.maximum;
  else
    state_.threshold = std::max(0.0, state_.threshold + (100 * batch.too_large > percentage_ * batch.count ? kThresholdStep : -kThresholdStep));
  return batch;
}

DeltaSums reject_labels(std::span<float> delta, const LabelRejection::Bounds& bounds) {
  DeltaSums sums;
  for (float& value : delta) value = reject_entry(value, bounds, sums);
  return sums;
}

}  // namespace dn
