#include "train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "device/cpu/parallel.h"
#include "train/sweeps.h"

namespace dn {
namespace {

constexpr size_t kGrain = 1 << 15;  // floats per piece of work

template <class Visit>
void for_trained(const ParamStore& params, int frozen_layers, const Visit& visit) {
  for (const ParamSegment& segment : params.segments())
    if (segment.trained() && segment.layer >= frozen_layers) visit(segment);
}

}  // namespace

// A stretch of one segment; the unit of parallel work, so that many small segments cost one loop.
struct Optimizer::Piece {
  const ParamSegment* segment;
  size_t offset, count;
};

namespace {

template <class Piece>
std::vector<Piece> cut(const ParamStore& params, int frozen_layers) {
  std::vector<Piece> pieces;
  for_trained(params, frozen_layers, [&](const ParamSegment& segment) {
    for (size_t done = 0; done < segment.spec.count; done += kGrain)
      pieces.push_back({&segment, segment.offset + done, std::min(kGrain, segment.spec.count - done)});
  });
  return pieces;
}

}  // namespace

Optimizer::Optimizer(ParamStore& params, OptimizerOptions options) : params_(params), options_(std::move(options)), velocity_(params.count(), 0.f) {
  ensure(options_.batch > 0, "a batch has images");
}

void Optimizer::begin_batch() { statistics_ = params_.statistics(); }

void Optimizer::restore_statistics() {
  if (statistics_.empty()) return;
  params_.set_statistics(statistics_);
  params_.touch();
}

UpdateReport Optimizer::check(int frozen_layers) {
  const std::vector<Piece> pieces = cut<Piece>(params_, frozen_layers);
  std::vector<GradientScan> scans(pieces.size());
  const float* grads = params_.grads().data();
  cpu::parallel_for(options_.threads, pieces.size(), [&](size_t i) { scans[i] = scan_gradient(grads + pieces[i].offset, pieces[i].count); });
  UpdateReport report;
  report.applied = true;
  double squares = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    squares += scans[i].squares;
    report.largest = std::max(report.largest, static_cast<double>(scans[i].largest));
    if (!scans[i].finite && !report.broken) report.broken = pieces[i].segment;
  }
  report.applied = report.broken == nullptr;
  report.gradient_norm = std::sqrt(squares) / options_.batch;
  report.largest /= options_.batch;
  return report;
}

UpdateReport Optimizer::update(double rate, int frozen_layers) {
  const UpdateReport report = check(frozen_layers);
  if (!report.applied) {
    ++skipped_;
    ++skipped_in_a_row_;
    restore_statistics();
    return report;
  }
  skipped_in_a_row_ = 0;
  const std::vector<Piece> pieces = cut<Piece>(params_, frozen_layers);
  const float* grads = params_.grads().data();
  float* values = params_.values().data();
  cpu::parallel_for(options_.threads, pieces.size(), [&](size_t i) {
    const Piece& piece = pieces[i];
    const ParamSpec& spec = piece.segment->spec;
    const auto layer = static_cast<size_t>(piece.segment->layer);
    const double scale = layer < options_.layer_scale.size() ? static_cast<double>(options_.layer_scale[layer]) : 1;
    const SgdStep step{static_cast<float>(options_.momentum), spec.decays ? static_cast<float>(options_.decay * options_.batch) : 0.f,
                       static_cast<float>(rate * scale / options_.batch), spec.clip_gradient};
    sgd_step(step, grads + piece.offset, velocity_.data() + piece.offset, values + piece.offset, piece.count);
  });
  params_.touch();
  return report;
}

}  // namespace dn
