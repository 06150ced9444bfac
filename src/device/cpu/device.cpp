#include "device/cpu/device.h"

#include <hwy/targets.h>

#include "base/text.h"
#include "device/cpu/arena.h"
#include "device/cpu/onednn.h"
#include "device/cpu/parallel.h"

namespace dn::cpu {
namespace {

bool has_avx512() { return (hwy::SupportedTargets() & HWY_AVX3) != 0; }

}  // namespace

Device::Device(const DeviceOptions& options)
    : threads_(options.threads > 0 ? options.threads : available_processors()),
      block_(options.block > 0 ? options.block : has_avx512() ? 16 : 8),
      convolution_(options.convolution),
      onednn_(std::make_unique<OneDnn>()) {
  set_library_threads(threads_);
}

Device::~Device() = default;

std::unique_ptr<DeviceMemory> Device::allocate(size_t bytes) { return std::make_unique<Arena>(bytes); }

std::string Device::description() const {
  const dnnl_version_t* v = dnnl_version();
  return concat(threads_, threads_ == 1 ? " thread, " : " threads, ", has_avx512() ? "AVX-512" : (hwy::SupportedTargets() & HWY_AVX2) ? "AVX2" : "SSE2",
                ", channel blocks of ", block_, ", oneDNN ", v->major, ".", v->minor, ".", v->patch);
}

}  // namespace dn::cpu
