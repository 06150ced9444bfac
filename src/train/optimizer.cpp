#include "train/optimizer.h"

#include <cmath>

namespace dn {
namespace {

// A filter: what one entry of the first dimension holds. One weight alone has no mean to lose: nothing would be left of it.
size_t centralized_filter(const ParamSegment& segment) {
  if (segment.spec.role != ParamRole::weight || segment.spec.shape.size() < 2) return 0;
  const size_t each = segment.spec.count / segment.spec.shape[0];
  return each < 2 ? 0 : each;
}

}  // namespace

Optimizer::Optimizer(ParamStore& params, OptimizerOptions options, Device* device)
    : params_(params),
      options_(std::move(options)),
      sweeps_(make_update_sweeps(params, options_.adam.has_value(), options_.threads, device)),
      updates_(params.segments().size(), 0) {
  ensure(options_.batch > 0, "a batch has images");
}

void Optimizer::begin_batch() { sweeps_->remember(); }

const LayerRule& Optimizer::rule(const ParamSegment& segment) const {
  static const LayerRule none;
  const auto layer = static_cast<size_t>(segment.layer);
  return layer < options_.layers.size() ? options_.layers[layer] : none;
}

UpdateRule Optimizer::numbers(const ParamSegment& segment, double rate) const {
  const LayerRule& layer = rule(segment);
  const double scaled = rate * static_cast<double>(layer.scale), decay = options_.decay * options_.batch;
  UpdateRule numbers;
  if (options_.adam) {
    const AdamOptions& adam = *options_.adam;
    const double t = static_cast<double>(updates_[index(segment)] + 1);
    numbers.adam = {static_cast<float>(adam.beta1),
                    static_cast<float>(adam.beta2),
                    static_cast<float>(1 - adam.beta1),
                    static_cast<float>(1 - adam.beta2),
                    static_cast<float>(decay),
                    static_cast<float>(scaled / (1 - std::pow(adam.beta1, t))),
                    static_cast<float>(1 / (1 - std::pow(adam.beta2, t))),
                    static_cast<float>(adam.eps),
                    segment.spec.clip_gradient};
  } else {
    numbers.sgd = {static_cast<float>(options_.momentum), segment.spec.decays ? static_cast<float>(decay) : 0.f,
                   static_cast<float>(scaled / options_.batch), segment.spec.clip_gradient};
  }
  if (segment.spec.role == ParamRole::weight) numbers.hold = layer.clip;
  return numbers;
}

std::vector<SegmentUpdate> Optimizer::work(double rate, int frozen_layers, int64_t iteration) const {
  std::vector<SegmentUpdate> work;
  for (const ParamSegment& segment : params_.segments()) {
    if (!segment.trained() || segment.layer < frozen_layers || iteration < rule(segment).first_update) continue;
    work.push_back({&segment, rule(segment).centralize ? centralized_filter(segment) : 0, numbers(segment, rate)});
  }
  return work;
}

UpdateReport Optimizer::update(double rate, int frozen_layers, int64_t iteration, float loss_scale) {
  const std::vector<SegmentUpdate> work = this->work(rate, frozen_layers, iteration);
  const GradientSummary seen = sweeps_->update(work, 1 / loss_scale);
  UpdateReport report;
  report.broken = seen.broken;
  report.applied = report.broken == nullptr;
  report.gradient_norm = std::sqrt(seen.squares) / options_.batch;
  report.largest = static_cast<double>(seen.largest) / options_.batch;
  if (!report.applied) {
    ++skipped_;
    ++skipped_in_a_row_;
    return report;
  }
  skipped_in_a_row_ = 0;
  for (const SegmentUpdate& update : work) ++updates_[index(*update.segment)];
  return report;
}

}  // namespace dn
