// What networks run on. A plan asks it for memory and for the form of its tensors; kernels are compiled for the concrete device (cpu::Device,
// cuda::Device) and know what else it offers.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "tensor/tensor.h"

namespace dn {

enum class DeviceKind { cpu, cuda };

// A block of a device's memory, zero at first.
class DeviceMemory {
 public:
  virtual ~DeviceMemory() = default;
  virtual std::byte* data() const = 0;
  virtual size_t bytes() const = 0;
};

// The device has not that much, whatever was planned: another program may have taken it.
class OutOfMemory : public Error {
 public:
  using Error::Error;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual DeviceKind kind() const = 0;
  virtual std::string description() const = 0;
  virtual int threads() const = 0;   // for the host's part of the work
  // How an activation of this shape is stored. wide: in FP32 whatever the device computes in (what a loss reads).
  virtual TensorDesc activation(const Shape& shape, bool wide) const = 0;
  virtual int slice_channels() const = 0;   // a slice begins at a multiple of so many channels
  virtual std::unique_ptr<DeviceMemory> allocate(size_t bytes) = 0;   // throws OutOfMemory
  virtual void synchronize() {}             // all work that was begun is done
};

}  // namespace dn
