#include "train/average_sweeps.h"

#include <algorithm>

#include "device/cpu/parallel.h"
#include "train/cuda/update_sweeps.h"
#include "train/sweeps.h"

namespace dn {
namespace {

constexpr size_t kGrain = 1 << 15;  // floats per piece of work

class HostAverages : public AverageSweeps {
 public:
  HostAverages(ParamStore& params, int threads) : params_(params), threads_(threads) { average_.assign(params.count(), 0.f); }

  void begin() override { std::ranges::copy(params_.values(), average_.begin()); }
  void step(double keep) override {
    const float* weights = params_.values().data();
    cpu::parallel_pieces(threads_, average_.size(), kGrain,
                         [&](size_t first, size_t last) { average_step(keep, weights + first, average_.data() + first, last - first); });
  }
  void take_over() override {
    std::ranges::copy(average_, params_.values().begin());
    params_.touch();
  }
  void swap() override {
    std::ranges::swap_ranges(params_.values(), average_);
    params_.touch();
  }
  std::span<const float> values() override { return average_; }

 private:
  ParamStore& params_;
  int threads_;
  AlignedFloats average_;
};

}  // namespace

std::unique_ptr<AverageSweeps> make_average_sweeps(ParamStore& params, int threads, Device* device) {
  if (device && device->kind() == DeviceKind::cuda) return cuda::make_average_sweeps(params, *device);
  return std::make_unique<HostAverages>(params, threads);
}

}  // namespace dn
