#include "train/update_sweeps.h"

#include <algorithm>

#include "device/cpu/parallel.h"
#include "train/cuda/update_sweeps.h"

namespace dn {
namespace {

constexpr size_t kGrain = 1 << 15;  // floats per piece of work

// A stretch of one segment; the unit of parallel work, so that many small segments cost one loop.
struct Piece {
  const SegmentUpdate* update;
  size_t offset, count;
};

class HostSweeps : public UpdateSweeps {
 public:
  HostSweeps(ParamStore& params, bool adam, int threads)
      : params_(params), threads_(threads), velocity_(params.count(), 0.f), squares_(adam ? params.count() : 0, 0.f) {}

  void remember() override {
    statistics_ = params_.statistics();
    moved_.clear();
    for (const ParamSegment& segment : params_.segments()) moved_.push_back(params_.norm_updates(segment.layer));
  }

  GradientSummary update(std::span<const SegmentUpdate> work, float unscale) override {
    const std::vector<Piece> pieces = cut(work);
    if (unscale != 1) {
      float* grads = params_.grads().data();
      cpu::parallel_for(threads_, pieces.size(), [&](size_t i) {
        for (size_t k = pieces[i].offset; k < pieces[i].offset + pieces[i].count; ++k) grads[k] *= unscale;
      });
    }
    const GradientSummary seen = scan(pieces);
    if (seen.broken) {
      restore();
      return seen;
    }
    for (const SegmentUpdate& update : work)
      if (update.filter > 0) centralize(params_.grads(*update.segment), update.filter);
    cpu::parallel_for(threads_, pieces.size(), [&](size_t i) { step(pieces[i]); });
    params_.touch();
    return seen;
  }

  std::span<float> velocity() override { return velocity_; }

 private:
  static std::vector<Piece> cut(std::span<const SegmentUpdate> work) {
    std::vector<Piece> pieces;
    for (const SegmentUpdate& update : work) {
      const ParamSegment& segment = *update.segment;
      for (size_t done = 0; done < segment.spec.count; done += kGrain)
        pieces.push_back({&update, segment.offset + done, std::min(kGrain, segment.spec.count - done)});
    }
    return pieces;
  }

  GradientSummary scan(const std::vector<Piece>& pieces) const {
    std::vector<GradientScan> scans(pieces.size());
    const float* grads = params_.grads().data();
    cpu::parallel_for(threads_, pieces.size(), [&](size_t i) { scans[i] = scan_gradient(grads + pieces[i].offset, pieces[i].count); });
    GradientSummary seen;
    for (size_t i = 0; i < pieces.size(); ++i) {
      seen.squares += scans[i].squares;
      seen.largest = std::max(seen.largest, scans[i].largest);
      if (!scans[i].finite && !seen.broken) seen.broken = pieces[i].update->segment;
    }
    return seen;
  }

  // In place: the gradients are used up by the update. A filter: what one entry of the first dimension holds.
  void centralize(std::span<float> grads, size_t each) const {
    cpu::parallel_for(threads_, grads.size() / each, [&](size_t f) {
      float* g = grads.data() + f * each;
      double sum = 0;
      for (size_t i = 0; i < each; ++i) sum += static_cast<double>(g[i]);
      const float mean = static_cast<float>(sum / static_cast<double>(each));
      for (size_t i = 0; i < each; ++i) g[i] -= mean;
    });
  }

  void step(const Piece& piece) {
    const UpdateRule& rule = piece.update->rule;
    const float* g = params_.grads().data() + piece.offset;
    float *v = velocity_.data() + piece.offset, *w = params_.values().data() + piece.offset;
    if (squares_.empty())
      sgd_step(rule.sgd, g, v, w, piece.count);
    else
      adam_step(rule.adam, g, v, squares_.data() + piece.offset, w, piece.count);
    if (rule.hold > 0)
      for (size_t i = 0; i < piece.count; ++i) w[i] = clamped(w[i], rule.hold);
  }

  void restore() {
    if (moved_.empty()) return;
    params_.set_statistics(statistics_);
    for (size_t i = 0; i < moved_.size(); ++i)
      if (const int layer = params_.segments()[i].layer; params_.norm_updates(layer) != moved_[i]) params_.norm_state(layer).updates = moved_[i];
    params_.touch();
  }

  ParamStore& params_;
  int threads_;
  std::vector<float> velocity_, squares_;
  std::vector<float> statistics_;
  std::vector<int64_t> moved_;  // NormState::updates of each segment's layer
};

}  // namespace

std::unique_ptr<UpdateSweeps> make_update_sweeps(ParamStore& params, bool adam, int threads, Device* device) {
  if (device && device->kind() == DeviceKind::cuda) return cuda::make_update_sweeps(params, adam, *device);
  return std::make_unique<HostSweeps>(params, adam, threads);
}

}  // namespace dn
