#include "train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "device/cpu/parallel.h"
#include "train/sweeps.h"

namespace dn {
namespace {

constexpr size_t kGrain = 1 << 15;  // floats per piece of work

}  // namespace

// A stretch of one segment; the unit of parallel work, so that many small segments cost one loop.
struct Optimizer::Piece {
  size_t segment;
  size_t offset, count;
};

Optimizer::Optimizer(ParamStore& params, OptimizerOptions options)
    : params_(params),
      options_(std::move(options)),
      velocity_(params.count(), 0.f),
      squares_(options_.adam ? params.count() : 0, 0.f),
      updates_(params.segments().size(), 0) {
  ensure(options_.batch > 0, "a batch has images");
}

void Optimizer::begin_batch() { statistics_ = params_.statistics(); }

void Optimizer::restore_statistics() {
  if (statistics_.empty()) return;
  params_.set_statistics(statistics_);
  params_.touch();
}

const LayerRule& Optimizer::rule(const ParamSegment& segment) const {
  static const LayerRule none;
  const auto layer = static_cast<size_t>(segment.layer);
  return layer < options_.layers.size() ? options_.layers[layer] : none;
}

std::vector<Optimizer::Piece> Optimizer::pieces(int frozen_layers, int64_t iteration) const {
  std::vector<Piece> pieces;
  const std::vector<ParamSegment>& segments = params_.segments();
  for (size_t i = 0; i < segments.size(); ++i) {
    const ParamSegment& segment = segments[i];
    if (!segment.trained() || segment.layer < frozen_layers || iteration < rule(segment).first_update) continue;
    for (size_t done = 0; done < segment.spec.count; done += kGrain)
      pieces.push_back({i, segment.offset + done, std::min(kGrain, segment.spec.count - done)});
  }
  return pieces;
}

UpdateReport Optimizer::check(const std::vector<Piece>& pieces) const {
  std::vector<GradientScan> scans(pieces.size());
  const float* grads = params_.grads().data();
  cpu::parallel_for(options_.threads, pieces.size(), [&](size_t i) { scans[i] = scan_gradient(grads + pieces[i].offset, pieces[i].count); });
  UpdateReport report;
  double squares = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    squares += scans[i].squares;
    report.largest = std::max(report.largest, static_cast<double>(scans[i].largest));
    if (!scans[i].finite && !report.broken) report.broken = &params_.segments()[pieces[i].segment];
  }
  report.applied = report.broken == nullptr;
  report.gradient_norm = std::sqrt(squares) / options_.batch;
  report.largest /= options_.batch;
  return report;
}

// The gradients are used up by the update, so they are changed in place. A filter: what one entry of the first dimension holds.
void Optimizer::centralize(const std::vector<Piece>& pieces) {
  for (size_t p = 0; p < pieces.size(); ++p) {
    if (p > 0 && pieces[p - 1].segment == pieces[p].segment) continue;
    const ParamSegment& segment = params_.segments()[pieces[p].segment];
    if (!rule(segment).centralize || segment.spec.role != ParamRole::weight || segment.spec.shape.size() < 2) continue;
    const size_t filters = segment.spec.shape[0], each = segment.spec.count / filters;
    if (each < 2) continue;  // nothing would be left of it
    float* grads = params_.grads(segment).data();
    cpu::parallel_for(options_.threads, filters, [&](size_t f) {
      float* g = grads + f * each;
      double sum = 0;
      for (size_t i = 0; i < each; ++i) sum += static_cast<double>(g[i]);
      const float mean = static_cast<float>(sum / static_cast<double>(each));
      for (size_t i = 0; i < each; ++i) g[i] -= mean;
    });
  }
}

void Optimizer::step(const Piece& piece, double rate) {
  const ParamSegment& segment = params_.segments()[piece.segment];
  const LayerRule& layer = rule(segment);
  const double scaled = rate * static_cast<double>(layer.scale), decay = options_.decay * options_.batch;
  const float* g = params_.grads().data() + piece.offset;
  float *v = velocity_.data() + piece.offset, *w = params_.values().data() + piece.offset;
  if (options_.adam) {
    const AdamOptions& adam = *options_.adam;
    const double t = static_cast<double>(updates_[piece.segment]);
    const AdamStep step{static_cast<float>(adam.beta1),
                        static_cast<float>(adam.beta2),
                        static_cast<float>(1 - adam.beta1),
                        static_cast<float>(1 - adam.beta2),
                        static_cast<float>(decay),
                        static_cast<float>(scaled / (1 - std::pow(adam.beta1, t))),
                        static_cast<float>(1 / (1 - std::pow(adam.beta2, t))),
                        static_cast<float>(adam.eps),
                        segment.spec.clip_gradient};
    adam_step(step, g, v, squares_.data() + piece.offset, w, piece.count);
  } else {
    const SgdStep step{static_cast<float>(options_.momentum), segment.spec.decays ? static_cast<float>(decay) : 0.f,
                       static_cast<float>(scaled / options_.batch), segment.spec.clip_gradient};
    sgd_step(step, g, v, w, piece.count);
  }
  if (layer.clip > 0 && segment.spec.role == ParamRole::weight)
    for (size_t i = 0; i < piece.count; ++i) w[i] = std::clamp(w[i], -layer.clip, layer.clip);
}

UpdateReport Optimizer::update(double rate, int frozen_layers, int64_t iteration) {
  const std::vector<Piece> pieces = this->pieces(frozen_layers, iteration);
  const UpdateReport report = check(pieces);
  if (!report.applied) {
    ++skipped_;
    ++skipped_in_a_row_;
    restore_statistics();
    return report;
  }
  skipped_in_a_row_ = 0;
  centralize(pieces);
  for (size_t p = 0; p < pieces.size(); ++p)
    if (p == 0 || pieces[p - 1].segment != pieces[p].segment) ++updates_[pieces[p].segment];
  cpu::parallel_for(options_.threads, pieces.size(), [&](size_t i) { step(pieces[i], rate); });
  params_.touch();
  return report;
}

}  // namespace dn
