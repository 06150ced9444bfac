// For builds with AddressSanitizer; see emulated_memory.h.
#include "base/aligned.h"
#include "device/cuda/emulated_memory.h"

namespace dn::cuda {
namespace {

class Block : public DeviceMemory {
 public:
  explicit Block(size_t bytes) : floats_((bytes + 3) / 4, 0.0f), bytes_(bytes) {}
  std::byte* data() const override { return reinterpret_cast<std::byte*>(const_cast<float*>(floats_.data())); }
  size_t bytes() const override { return bytes_; }

 private:
  AlignedFloats floats_;
  size_t bytes_;
};

}  // namespace

std::unique_ptr<DeviceMemory> emulated_memory(size_t bytes) { return std::make_unique<Block>(bytes); }
EmulatedAccess::EmulatedAccess() = default;
EmulatedAccess::~EmulatedAccess() = default;

}  // namespace dn::cuda
