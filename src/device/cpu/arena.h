// One block of memory from the operating system, 2 MiB pages where it grants them, zero at first. Pages cost nothing until they are touched.
#pragma once

#include "device/device.h"

namespace dn::cpu {

class Arena : public DeviceMemory {
 public:
  Arena() = default;
  explicit Arena(size_t bytes);   // throws Error when the system has not that much
  ~Arena() override;
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;
  std::byte* data() const override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace dn::cpu
