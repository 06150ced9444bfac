// Work that a device does in order: copies, fills, kernels (launch.h). There are two kinds of it. Behind a GPU's stream everything runs there. The
// emulation runs the same kernel bodies on the host, so that what is built on a stream can be tested without a GPU; its memory can only be touched by
// what goes through the stream.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "device/device.h"

namespace dn::cuda {

// Work that was put together once and runs again with one call; addresses and numbers are those of the recording.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay() = 0;
};

class Stream {
 public:
  virtual ~Stream() = default;
  // A cudaStream_t, whose GPU becomes the calling thread's; null: the emulation.
  virtual void* handle() const = 0;
  bool emulated() const { return handle() == nullptr; }
  virtual std::string description() const = 0;   // "NVIDIA H200, 140.4 GiB"

  // Zero at first. Throws OutOfMemory.
  virtual std::unique_ptr<DeviceMemory> allocate(size_t bytes) = 0;
  virtual size_t free_bytes() const = 0;
  // Host memory that copies need not wait for.
  virtual std::unique_ptr<DeviceMemory> allocate_pinned(size_t bytes) = 0;

  // In the order of the stream. Pinned host memory must stay as it is until synchronize(); of other memory a copy is taken at once, for which a GPU's stream waits
  // for all work before when it is more than a MiB.
  virtual void to_device(void* to, const void* from, size_t bytes) = 0;
  virtual void to_host(void* to, const void* from, size_t bytes) = 0;   // `to` is there after synchronize()
  virtual void on_device(void* to, const void* from, size_t bytes) = 0;
  virtual void fill(void* to, int byte, size_t bytes) = 0;
  virtual void synchronize() = 0;   // throws Error when anything failed on the device since

  // Records what `work` puts on the stream, without running it. Nothing that waits for the device may be in it.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& work) = 0;
  // The emulation only: runs `launch`, or puts it into the recording.
  virtual void emulate(std::function<void()> launch) = 0;
};

// The one message of an allocation that failed.
OutOfMemory too_little_memory(size_t wanted, size_t free);

// A look at the machine, which takes nothing of a GPU.
struct Gpus {
  int count = 0;
  bool in_build = true;   // this program has code for GPUs
  std::string reason;     // why there is none: "no usable NVIDIA driver"
};
Gpus find_gpus();
int compute_capability(int gpu);   // 90: 9.0; of one that there is

// Throws Error when there is no such device, no driver, or no CUDA in this build: one line that says which.
std::unique_ptr<Stream> open_stream(int gpu);
// bytes: of memory; 0: as much as anybody asks for. others: so many of them are free until the first allocation that needs them, when another program
// turns out to have been quicker.
std::unique_ptr<Stream> emulated_stream(size_t bytes = 0, size_t others = 0);
// body(i) for i in [0, count), on several threads of the host.
void run_on_host(size_t count, const std::function<void(size_t)>& body);

}  // namespace dn::cuda
