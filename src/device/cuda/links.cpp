// Links between emulated GPUs, whose memory is all the host's.
#include "device/cuda/links.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace dn::cuda {
namespace {

class EmulatedLinks : public Links {
 public:
  explicit EmulatedLinks(std::span<Device* const> devices) : first_(*devices[0]) {}
  std::string description() const override { return "emulated links"; }
  // In the order of the devices.
  void sum_into_first(std::span<float* const> buffers, size_t count) override {
    first_.stream().emulate([to = buffers[0], others = std::vector<float*>(buffers.begin() + 1, buffers.end()), count] {
      for (const float* from : others)
        for (size_t i = 0; i < count; ++i) to[i] += from[i];
    });
  }
  void copy_from_first(std::span<void* const> buffers, size_t bytes) override {
    first_.stream().emulate([from = buffers[0], others = std::vector<void*>(buffers.begin() + 1, buffers.end()), bytes] {
      for (void* to : others) std::memcpy(to, from, bytes);
    });
  }

 private:
  Device& first_;
};

}  // namespace

std::unique_ptr<Links> open_links(std::span<Device* const> devices) {
  ensure(devices.size() > 1, "one GPU has nobody to talk to");
  if (std::ranges::all_of(devices, [](Device* device) { return device->stream().emulated(); })) return std::make_unique<EmulatedLinks>(devices);
  return nccl_links(devices);
}

}  // namespace dn::cuda
