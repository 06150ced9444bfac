// The CPU: thread count, channel block, oneDNN engine (reached through device/cpu/onednn.h only).
#pragma once

#include <memory>
#include <string>

#include "device/device.h"

namespace dn::cpu {

enum class ConvAlgorithm { automatic, direct, winograd };

struct DeviceOptions {
  int threads = 0;   // 0: the cores this process may use
  int block = 0;     // channel block: 16 with AVX-512, 8 otherwise; 0: what this machine has
  ConvAlgorithm convolution = ConvAlgorithm::automatic;  // automatic: measured per shape and direction, remembered
};

struct OneDnn;

class Device : public dn::Device {
 public:
  explicit Device(const DeviceOptions& options = {});
  ~Device() override;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  DeviceKind kind() const override { return DeviceKind::cpu; }
  int threads() const override { return threads_; }
  TensorDesc activation(const Shape& shape, bool) const override { return {shape, block_}; }
  int slice_channels() const override { return block_; }
  std::unique_ptr<DeviceMemory> allocate(size_t bytes) override;
  int block() const { return block_; }
  ConvAlgorithm convolution() const { return convolution_; }
  std::string description() const override;   // "2 threads, AVX-512, oneDNN 2.6.3"
  OneDnn& onednn() { return *onednn_; }

 private:
  int threads_, block_;
  ConvAlgorithm convolution_;
  std::unique_ptr<OneDnn> onednn_;
};

}  // namespace dn::cpu
