#include "train/cuda/update_sweeps.h"

#include <algorithm>

#include "nn/cuda/param_mirror.h"
#include "train/cuda/update_kernels.h"

namespace dn::cuda {
namespace {

constexpr size_t kGrain = 1 << 13;  // floats of a block

// An array on the device.
template <class T>
class Array {
 public:
  Array() = default;
  Array(Device& device, size_t count) : memory_(device.allocate(std::max<size_t>(count, 1) * sizeof(T))) {}
  T* data() const { return memory_ ? reinterpret_cast<T*>(memory_->data()) : nullptr; }

 private:
  std::unique_ptr<DeviceMemory> memory_;
};

// A table that the host makes, on the device.
template <class T>
class Table {
 public:
  void set(Device& device, const std::vector<T>& rows) {
    if (rows.size() > room_) array_ = Array<T>(device, rows.size()), room_ = rows.size();
    device.stream().to_device(array_.data(), rows.data(), rows.size() * sizeof(T));
    count_ = static_cast<int>(rows.size());
  }
  const T* data() const { return array_.data(); }
  int count() const { return count_; }

 private:
  Array<T> array_;
  size_t room_ = 0;
  int count_ = 0;
};

// The running statistics before a batch.
class Statistics {
 public:
  Statistics(const ParamStore& params, const ParamMirror& mirror, Device& device)
      : device_(device), mirror_(mirror), counters_(device, mirror.layers()) {
    std::vector<CopyPiece> pieces;
    size_t kept = 0;
    for (const ParamSegment& segment : params.segments()) {
      if (segment.trained()) continue;
      for (size_t done = 0; done < segment.spec.count; done += kGrain) {
        const size_t count = std::min(kGrain, segment.spec.count - done);
        pieces.push_back({segment.offset + done, kept, static_cast<int>(count)});
        kept += count;
      }
    }
    pieces_.set(device, pieces);
    values_ = Array<float>(device, kept);
  }
  void remember() {
    copy_pieces(device_.stream(), pieces_.data(), pieces_.count(), mirror_.values(), values_.data());
    device_.stream().on_device(counters_.data(), mirror_.updates(0), mirror_.layers() * sizeof(int64_t));
    remembered_ = true;
  }
  // Where the verdict is that a gradient is broken.
  void restore(const UpdateVerdict* verdict) const {
    if (!remembered_) return;
    restore_pieces(device_.stream(), pieces_.data(), pieces_.count(), values_.data(), mirror_.values(), verdict);
    restore_counters(device_.stream(), mirror_.layers(), counters_.data(), mirror_.updates(0), verdict);
  }

 private:
  Device& device_;
  const ParamMirror& mirror_;
  bool remembered_ = false;
  Table<CopyPiece> pieces_;
  Array<float> values_;
  Array<int64_t> counters_;
};

class CudaSweeps : public UpdateSweeps {
 public:
  CudaSweeps(ParamStore& params, bool adam, Device& device)
      : params_(params),
        device_(device),
        mirror_(ParamMirror::of(params, device)),
        statistics_(params, mirror_, device),
        velocity_(device, params.count()),
        verdict_(device, 1),
        seen_(device.stream().allocate_pinned(sizeof(UpdateVerdict))) {
    mirror_.allocate_grads();
    params.allocate_grads();
    if (adam) squares_ = Array<float>(device, params.count());
  }

  void remember() override {
    mirror_.sync(params_);
    statistics_.remember();
  }

  GradientSummary update(std::span<const SegmentUpdate> work, float unscale) override {
    Stream& stream = device_.stream();
    mirror_.sync(params_);
    cut(work);
    send_rules(work);
    if (velocity_on_host_) stream.to_device(velocity_.data(), host_velocity_.data(), host_velocity_.size() * sizeof(float));
    velocity_on_host_ = false;
    UpdateVerdict* const verdict = verdict_.data();
    scan_gradients(stream, pieces_.data(), pieces_.count(), mirror_.grads(), unscale, of_pieces_.data(), verdict);
    centralize_gradients(stream, filters_.data(), filters_.count(), mirror_.grads(), verdict);
    update_values(stream, pieces_.data(), pieces_.count(), rules_.data(), unscale,
                  {mirror_.grads(), mirror_.values(), velocity_.data(), squares_.data()}, verdict);
    statistics_.restore(verdict);
    stream.to_host(seen_->data(), verdict, sizeof(UpdateVerdict));
    stream.synchronize();
    mirror_.changed(params_);
    params_.grads_are_in_copy();  // without their means, maybe
    const auto& seen = *reinterpret_cast<const UpdateVerdict*>(seen_->data());
    return {seen.squares, seen.largest,
            seen.broken == kNoPiece ? nullptr : work[static_cast<size_t>(rows_[static_cast<size_t>(seen.broken)].rule)].segment};
  }

  std::span<float> velocity() override {
    if (velocity_on_host_) return host_velocity_;
    host_velocity_.resize(params_.count());
    device_.stream().to_host(host_velocity_.data(), velocity_.data(), host_velocity_.size() * sizeof(float));
    device_.synchronize();
    velocity_on_host_ = true;
    return host_velocity_;
  }

 private:
  // The tables of pieces and filters; they stay the same until layers thaw.
  void cut(std::span<const SegmentUpdate> work) {
    const auto same = [](const SegmentUpdate& a, const Stretch& b) { return a.segment == b.segment && a.filter == b.filter; };
    if (std::ranges::equal(work, cut_, same) && pieces_.data()) return;
    cut_.clear();
    rows_.clear();
    std::vector<UpdatePiece> filters;
    for (const SegmentUpdate& update : work) {
      const int rule = static_cast<int>(cut_.size());
      const size_t offset = update.segment->offset, count = update.segment->spec.count;
      cut_.push_back({update.segment, update.filter});
      for (size_t done = 0; done < count; done += kGrain) rows_.push_back({offset + done, static_cast<int>(std::min(kGrain, count - done)), rule});
      for (size_t done = 0; update.filter > 0 && done < count; done += update.filter)
        filters.push_back({offset + done, static_cast<int>(update.filter), rule});
    }
    pieces_.set(device_, rows_);
    filters_.set(device_, filters);
    of_pieces_ = Array<UpdateVerdict>(device_, rows_.size());
  }

  // From pinned memory, which update() leaves alone until it has waited.
  void send_rules(std::span<const SegmentUpdate> work) {
    const size_t bytes = work.size() * sizeof(UpdateRule);
    if (!sent_ || sent_->bytes() < bytes) {
      sent_ = device_.stream().allocate_pinned(params_.segments().size() * sizeof(UpdateRule));
      rules_ = Array<UpdateRule>(device_, params_.segments().size());
    }
    auto* const rules = reinterpret_cast<UpdateRule*>(sent_->data());
    for (size_t i = 0; i < work.size(); ++i) rules[i] = work[i].rule;
    device_.stream().to_device(rules_.data(), rules, bytes);
  }

  struct Stretch {
    const ParamSegment* segment;
    size_t filter;
  };

  ParamStore& params_;
  Device& device_;
  ParamMirror& mirror_;
  Statistics statistics_;
  Array<float> velocity_, squares_;
  Array<UpdateRule> rules_;  // of each segment that is updated
  Array<UpdateVerdict> of_pieces_, verdict_;
  Table<UpdatePiece> pieces_, filters_;
  std::vector<UpdatePiece> rows_;  // of pieces_
  std::vector<Stretch> cut_;       // what they are made of
  std::unique_ptr<DeviceMemory> sent_, seen_;
  std::vector<float> host_velocity_;
  bool velocity_on_host_ = false;  // where the newer one is
};

class CudaAverages : public AverageSweeps {
 public:
  CudaAverages(ParamStore& params, Device& device)
      : params_(params), device_(device), mirror_(ParamMirror::of(params, device)), average_(device, params.count()) {}

  void begin() override {
    mirror_.sync(params_);
    device_.stream().on_device(average_.data(), mirror_.values(), bytes());
  }
  void step(double keep) override {
    mirror_.sync(params_);
    average_values(device_.stream(), params_.count(), static_cast<float>(1 - keep), mirror_.values(), average_.data());
  }
  void take_over() override {
    mirror_.sync(params_);  // the counters
    device_.stream().on_device(mirror_.values(), average_.data(), bytes());
    mirror_.changed(params_);
  }
  void swap() override {
    mirror_.sync(params_);
    swap_values(device_.stream(), params_.count(), mirror_.values(), average_.data());
    mirror_.changed(params_);
  }
  std::span<const float> values() override {
    host_.resize(params_.count());
    device_.stream().to_host(host_.data(), average_.data(), bytes());
    device_.synchronize();
    return host_;
  }

 private:
  size_t bytes() const { return params_.count() * sizeof(float); }

  ParamStore& params_;
  Device& device_;
  ParamMirror& mirror_;
  Array<float> average_;
  std::vector<float> host_;
};

}  // namespace

std::unique_ptr<UpdateSweeps> make_update_sweeps(ParamStore& params, bool adam, dn::Device& device) {
  return std::make_unique<CudaSweeps>(params, adam, static_cast<Device&>(device));
}
std::unique_ptr<AverageSweeps> make_average_sweeps(ParamStore& params, dn::Device& device) {
  return std::make_unique<CudaAverages>(params, static_cast<Device&>(device));
}

}  // namespace dn::cuda
