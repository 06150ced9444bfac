// The CPU: thread count, channel block, oneDNN engine (reached through device/cpu/onednn.h only).
#pragma once

#include <memory>
#include <string>

namespace dn::cpu {

enum class ConvAlgorithm { automatic, direct, winograd };

struct DeviceOptions {
  int threads = 0;   // 0: the cores this process may use
  int block = 0;     // channel block: 16 with AVX-512, 8 otherwise; 0: what this machine has
  ConvAlgorithm convolution = ConvAlgorithm::automatic;  // automatic: measured per shape and direction, remembered
};

struct OneDnn;

class Device {
 public:
  explicit Device(const DeviceOptions& options = {});
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  int threads() const { return threads_; }
  int block() const { return block_; }
  ConvAlgorithm convolution() const { return convolution_; }
  std::string description() const;   // "2 threads, AVX-512, oneDNN 2.6.3"
  OneDnn& onednn() { return *onednn_; }

 private:
  int threads_, block_;
  ConvAlgorithm convolution_;
  std::unique_ptr<OneDnn> onednn_;
};

}  // namespace dn::cpu
