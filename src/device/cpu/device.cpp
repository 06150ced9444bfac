#include "device/cpu/device.h"

#include <hwy/targets.h>
#include <omp.h>

#include <algorithm>

#include "base/text.h"
#include "device/cpu/onednn.h"

namespace dn::cpu {
namespace {

bool has_avx512() { return (hwy::SupportedTargets() & HWY_AVX3) != 0; }

}  // namespace

Device::Device(const DeviceOptions& options)
    : threads_(options.threads > 0 ? options.threads : std::max(1, omp_get_num_procs())),
      block_(options.block > 0 ? options.block : has_avx512() ? 16 : 8),
      convolution_(options.convolution),
      onednn_(std::make_unique<OneDnn>()) {
  omp_set_num_threads(threads_);  // oneDNN takes its thread count from here
}

Device::~Device() = default;

std::string Device::description() const {
  const dnnl_version_t* v = dnnl_version();
  return concat(threads_, threads_ == 1 ? " thread, " : " threads, ", has_avx512() ? "AVX-512" : (hwy::SupportedTargets() & HWY_AVX2) ? "AVX2" : "SSE2",
                ", channel blocks of ", block_, ", oneDNN ", v->major, ".", v->minor, ".", v->patch);
}

}  // namespace dn::cpu
