// A GPU, or its emulation: one stream, who computes convolutions, the precision of activations, and the numbers of the pass for kernels in recordings.
#pragma once

#include <memory>
#include <string>

#include "device/cuda/convolution.h"
#include "device/cuda/stream.h"
#include "device/device.h"

namespace dn::cuda {

// Of activations and their gradients, and what convolutions compute in. tf32: FP32 storage. Parameters, statistics, losses and the optimizer are FP32
// always.
enum class Precision { fp32, tf32, bf16, fp16 };
std::string_view precision_name(Precision precision);

struct DeviceOptions {
  bool emulated = false;
  size_t emulated_bytes = 0, emulated_others = 0;   // of its memory (emulated_stream)
  int gpu = 0;
  Precision precision = Precision::bf16;
  ConvRules convolutions;
  std::string conv_cache;   // file; empty: none
  bool recordings = true;   // mini-batch steps are recorded once and replayed
  int threads = 0;          // of the host; 0: the cores this process may use
};

// What changes from pass to pass, in the device's memory, for kernels that may be replayed: a recorded launch keeps its arguments.
struct PassNumbers {
  uint64_t iteration = 0, seed = 0, first_image = 0;
  int micro_step = 0, micro_steps = 1;
  float progress = 0;
  float loss_scale = 1;   // on the gradients of the heads; the optimizer divides by it
};

class Device : public dn::Device {
 public:
  explicit Device(const DeviceOptions& options);
  ~Device() override;

  DeviceKind kind() const override { return DeviceKind::cuda; }
  std::string description() const override;   // "NVIDIA H200, 140 GiB, bf16, cuDNN 9.19.0"
  int threads() const override { return threads_; }
  TensorDesc activation(const Shape& shape, bool wide) const override;
  int slice_channels() const override { return kChannelGroup; }
  std::unique_ptr<DeviceMemory> allocate(size_t bytes) override { return stream_->allocate(bytes); }
  void synchronize() override { stream_->synchronize(); }

  Stream& stream() { return *stream_; }
  ConvEngine& convolutions() const;   // opened with the first call: libraries and their memory are for those who convolve
  const DeviceOptions& options() const { return options_; }
  DType dtype() const;
  const PassNumbers* numbers() const;            // on the device
  void set_numbers(const PassNumbers& numbers);  // in the order of the stream

  // Kernels of ours work on so many neighbouring channels at a time: 16 bytes of 16-bit numbers. Channels are padded to a multiple of it.
  static constexpr int kChannelGroup = 8;

 private:
  DeviceOptions options_;
  int threads_;
  std::unique_ptr<Stream> stream_;
  mutable std::unique_ptr<ConvEngine> engine_;
  std::unique_ptr<DeviceMemory> numbers_;
};

}  // namespace dn::cuda
