// The stream of a GPU, on the CUDA runtime.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/text.h"
#include "device/cuda/staging_ring.h"
#include "device/cuda/stream.h"

namespace dn::cuda {
namespace {

std::string version_text(int version) { return concat(version / 1000, ".", version % 1000 / 10); }

// The runtime's word for a driver that is older than it is the same as for none at all.
std::string driver_reason() {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver <= 0) return "no usable NVIDIA driver";
  return concat("the NVIDIA driver is too old: it goes up to CUDA ", version_text(driver), ", expected ", version_text(CUDART_VERSION / 1000 * 1000), " or later");
}

// What a status means to the one who reads it.
std::string reason(cudaError_t status) {
  switch (status) {
    case cudaErrorInsufficientDriver: return driver_reason();   // 35: no driver at all, or one older than the runtime
    case cudaErrorStubLibrary: return "no usable NVIDIA driver";
    case cudaErrorNoDevice: return "no NVIDIA GPU";
    case cudaErrorNoKernelImageForDevice: return "this build has no code for that GPU";
    case cudaErrorUnsupportedPtxVersion: return "this build has no code for that GPU, and the NVIDIA driver is too old to make it";
    case cudaErrorDevicesUnavailable: return "the GPU is taken by another process alone (nvidia-smi: compute mode), or out of order";
    default: return concat(cudaGetErrorName(status), ": ", cudaGetErrorString(status));
  }
}

void check(cudaError_t status, const char* doing) {
  if (status == cudaSuccess) return;
  cudaGetLastError();   // a failed call must not fail the next one too
  const std::string message = concat("GPU: ", doing, ": ", reason(status));
  if (status == cudaErrorMemoryAllocation) throw OutOfMemory(message);   // code of kernels and recordings take memory too
  throw Error(message);
}

// In destructors nobody is told.
void forget(cudaError_t status) {
  if (status != cudaSuccess) cudaGetLastError();
}

// The GPU of the calling thread, which every thread has to say for itself.
cudaError_t chosen(int gpu) {
  int now = -1;
  return cudaGetDevice(&now) == cudaSuccess && now == gpu ? cudaSuccess : cudaSetDevice(gpu);
}
void choose(int gpu) { check(chosen(gpu), "choosing the GPU"); }

class GpuBlock : public DeviceMemory {
 public:
  GpuBlock(int gpu, size_t bytes) : gpu_(gpu), bytes_(bytes) {
    void* at = nullptr;
    const cudaError_t status = cudaMalloc(&at, std::max<size_t>(bytes, 1));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      size_t free = 0, total = 0;
      forget(cudaMemGetInfo(&free, &total));
      throw too_little_memory(bytes, free);
    }
    check(status, "allocating memory");
    data_ = static_cast<std::byte*>(at);
  }
  ~GpuBlock() override {
    forget(chosen(gpu_));
    forget(cudaFree(data_));
  }
  std::byte* data() const override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  int gpu_;
  std::byte* data_ = nullptr;
  size_t bytes_;
};

class PinnedBlock : public DeviceMemory {
 public:
  PinnedBlock(int gpu, size_t bytes) : gpu_(gpu), bytes_(bytes) {
    void* at = nullptr;
    const cudaError_t status = cudaMallocHost(&at, std::max<size_t>(bytes, 1));
    if (status == cudaErrorMemoryAllocation) {   // the host's, not the GPU's
      cudaGetLastError();
      fail("the host has not ", bytes_text(static_cast<double>(bytes)), " of memory left that a GPU can copy from");
    }
    check(status, "allocating pinned host memory");
    data_ = static_cast<std::byte*>(at);
    std::memset(data_, 0, bytes);
  }
  ~PinnedBlock() override {
    forget(chosen(gpu_));   // else a thread that never said which would wake up GPU 0
    forget(cudaFreeHost(data_));
  }
  std::byte* data() const override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  int gpu_;
  std::byte* data_ = nullptr;
  size_t bytes_;
};

bool is_pinned(const void* host) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, host), "asking what memory is");
  return attributes.type == cudaMemoryTypeHost;
}

// Copies from host memory that may change as soon as the call returns. The runtime does not promise to take its own copy of it at once on every machine (where the
// GPU reads a process's memory itself it need not), and where it does it may wait for all work before.
class Uploads {
 public:
  Uploads(int gpu, cudaStream_t stream) : gpu_(gpu), stream_(stream) {}
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;
  ~Uploads() {
    for (const cudaEvent_t mark : marks_)
      if (mark) forget(cudaEventDestroy(mark));
  }

  void copy(void* to, const void* from, size_t bytes) {
    const std::lock_guard lock(mutex_);
    if (!begun_) begin();
    if (bytes > ring_.most() || !memory_) {
      check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copying to the GPU");
      return check(cudaStreamSynchronize(stream_), "copying to the GPU");
    }
    const StagingRing::Place place = ring_.take(bytes);
    if (place.left != StagingRing::kNoHalf) check(cudaEventRecord(marks_[place.left], stream_), "marking copies to the GPU");
    if (place.entered != StagingRing::kNoHalf) check(cudaEventSynchronize(marks_[place.entered]), "waiting for copies to the GPU");
    std::memcpy(memory_->data() + place.offset, from, bytes);
    check(cudaMemcpyAsync(to, memory_->data() + place.offset, bytes, cudaMemcpyHostToDevice, stream_), "copying to the GPU");
  }

 private:
  // Where the machine has no pinned memory to give, copies wait.
  void begin() {
    begun_ = true;
    for (cudaEvent_t& mark : marks_) check(cudaEventCreateWithFlags(&mark, cudaEventDisableTiming), "making an event");
    try {
      memory_ = std::make_unique<PinnedBlock>(gpu_, ring_.bytes());
    } catch (const Error&) {
    }
  }

  int gpu_;
  cudaStream_t stream_;
  std::mutex mutex_;
  bool begun_ = false;
  StagingRing ring_{size_t{1} << 20};
  std::unique_ptr<PinnedBlock> memory_;   // with the first copy
  cudaEvent_t marks_[2] = {};
};

class GraphRecording : public Recording {
 public:
  GraphRecording(cudaGraph_t graph, int gpu, cudaStream_t stream) : gpu_(gpu), stream_(stream) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    forget(cudaGraphDestroy(graph));
    check(status, "making a recording ready");
  }
  ~GraphRecording() override {
    forget(chosen(gpu_));
    forget(cudaGraphExecDestroy(executable_));
  }
  void replay() override {
    choose(gpu_);
    check(cudaGraphLaunch(executable_, stream_), "replaying a recording");
  }

 private:
  cudaGraphExec_t executable_ = nullptr;
  int gpu_;
  cudaStream_t stream_;
};

class GpuStream : public Stream {
 public:
  explicit GpuStream(int gpu) : gpu_(gpu) {
    const Gpus gpus = find_gpus();
    if (gpus.count == 0) fail(gpus.reason);
    if (gpu < 0 || gpu >= gpus.count) fail("-i ", gpu, ": expected 0..", gpus.count - 1, ", the GPUs of this machine");
    choose(gpu);
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, gpu), "asking for its properties");
    description_ = concat(properties.name, ", ", bytes_text(static_cast<double>(properties.totalGlobalMem)));
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
    uploads_ = std::make_unique<Uploads>(gpu, stream_);
  }
  // Work may still run that reads pinned memory of ours.
  ~GpuStream() override {
    forget(chosen(gpu_));
    forget(cudaStreamSynchronize(stream_));
    uploads_.reset();
    forget(cudaStreamDestroy(stream_));
  }

  void* handle() const override { return here(); }
  std::string description() const override { return description_; }
  std::unique_ptr<DeviceMemory> allocate(size_t bytes) override {
    choose(gpu_);
    auto block = std::make_unique<GpuBlock>(gpu_, bytes);
    fill(block->data(), 0, bytes);
    return block;
  }
  std::unique_ptr<DeviceMemory> allocate_pinned(size_t bytes) override {
    choose(gpu_);
    return std::make_unique<PinnedBlock>(gpu_, bytes);
  }
  size_t free_bytes() const override {
    choose(gpu_);
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    return free;
  }

  void to_device(void* to, const void* from, size_t bytes) override {
    ensure(!recording_, "a recording takes nothing from the host");
    if (bytes == 0) return;
    const cudaStream_t stream = here();
    if (!is_pinned(from)) return uploads_->copy(to, from, bytes);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "copying to the GPU");
  }
  void to_host(void* to, const void* from, size_t bytes) override {
    ensure(!recording_, "a recording gives nothing to the host");
    if (bytes) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, here()), "copying from the GPU");
  }
  void on_device(void* to, const void* from, size_t bytes) override {
    if (bytes) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, here()), "copying on the GPU");
  }
  void fill(void* to, int byte, size_t bytes) override {
    if (bytes) check(cudaMemsetAsync(to, byte, bytes, here()), "filling memory");
  }
  void synchronize() override {
    ensure(!recording_, "a recording does not wait");
    check(cudaStreamSynchronize(here()), "waiting for the GPU");
  }

  // What other threads do meanwhile (pinned memory for the next images) does not end the recording; on this stream they do nothing, it would be recorded.
  std::unique_ptr<Recording> record(const std::function<void()>& work) override {
    check(cudaStreamBeginCapture(here(), cudaStreamCaptureModeThreadLocal), "beginning a recording");
    recording_ = true;
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      recording_ = false;
      forget(cudaStreamEndCapture(stream_, &graph));
      if (graph) forget(cudaGraphDestroy(graph));
      throw;
    }
    recording_ = false;
    check(cudaStreamEndCapture(stream_, &graph), "ending a recording");
    return std::make_unique<GraphRecording>(graph, gpu_, stream_);
  }
  void emulate(std::function<void()>) override { ensure(false, "a GPU emulates nothing"); }

 private:
  // For the calling thread: kernels start on the device that is its own.
  cudaStream_t here() const {
    choose(gpu_);
    return stream_;
  }

  int gpu_;
  cudaStream_t stream_ = nullptr;
  std::unique_ptr<Uploads> uploads_;
  std::atomic<bool> recording_ = false;
  std::string description_;
};

}  // namespace

Gpus find_gpus() {
  Gpus gpus;
  if (const cudaError_t status = cudaGetDeviceCount(&gpus.count); status != cudaSuccess) {
    cudaGetLastError();
    return {0, true, reason(status)};
  }
  if (gpus.count == 0) gpus.reason = reason(cudaErrorNoDevice);
  return gpus;
}

int compute_capability(int gpu) {
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu), "asking for its compute capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, gpu), "asking for its compute capability");
  return 10 * major + minor;
}

std::unique_ptr<Stream> open_stream(int gpu) { return std::make_unique<GpuStream>(gpu); }

namespace detail {
void check_launch() { check(cudaGetLastError(), "starting a kernel"); }
}  // namespace detail

}  // namespace dn::cuda
