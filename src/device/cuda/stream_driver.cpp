// The stream of a GPU, on the CUDA runtime.
#include <cuda_runtime_api.h>

#include <cstring>
#include <vector>

#include "base/log.h"
#include "device/cuda/stream.h"

namespace dn::cuda {
namespace {

// What a status means to the one who reads it.
std::string reason(cudaError_t status) {
  switch (status) {
    case cudaErrorInsufficientDriver:   // 35: no driver at all, or one older than the runtime
    case cudaErrorStubLibrary: return "no usable NVIDIA driver";
    case cudaErrorNoDevice: return "no NVIDIA GPU";
    case cudaErrorNoKernelImageForDevice: return "this build has no code for that GPU";
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

class GpuBlock : public DeviceMemory {
 public:
  GpuBlock(size_t bytes, cudaStream_t stream, size_t free) : bytes_(bytes) {
    void* at = nullptr;
    const cudaError_t status = cudaMalloc(&at, std::max<size_t>(bytes, 1));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw too_little_memory(bytes, free);
    }
    check(status, "allocating memory");
    data_ = static_cast<std::byte*>(at);
    check(cudaMemsetAsync(data_, 0, bytes, stream), "clearing memory");
  }
  ~GpuBlock() override { cudaFree(data_); }
  std::byte* data() const override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_;
};

class PinnedBlock : public DeviceMemory {
 public:
  explicit PinnedBlock(size_t bytes) : bytes_(bytes) {
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
  ~PinnedBlock() override { cudaFreeHost(data_); }
  std::byte* data() const override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_;
};

class GraphRecording : public Recording {
 public:
  GraphRecording(cudaGraph_t graph, cudaStream_t stream) : stream_(stream) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "making a recording ready");
  }
  ~GraphRecording() override { cudaGraphExecDestroy(executable_); }
  void replay() override { check(cudaGraphLaunch(executable_, stream_), "replaying a recording"); }

 private:
  cudaGraphExec_t executable_ = nullptr;
  cudaStream_t stream_;
};

class GpuStream : public Stream {
 public:
  explicit GpuStream(int gpu) : gpu_(gpu) {
    const Gpus gpus = find_gpus();
    if (gpus.count == 0) fail(gpus.reason);
    if (gpu < 0 || gpu >= gpus.count) fail("-i ", gpu, ": expected 0..", gpus.count - 1, ", the GPUs of this machine");
    check(cudaSetDevice(gpu), "choosing the GPU");
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, gpu), "asking for its properties");
    description_ = concat(properties.name, ", ", bytes_text(static_cast<double>(properties.totalGlobalMem)));
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
  }
  ~GpuStream() override { cudaStreamDestroy(stream_); }

  void* handle() const override {
    cudaSetDevice(gpu_);   // kernels start on the device that is the thread's
    return stream_;
  }
  std::string description() const override { return description_; }
  std::unique_ptr<DeviceMemory> allocate(size_t bytes) override { return std::make_unique<GpuBlock>(bytes, stream_, free_bytes()); }
  std::unique_ptr<DeviceMemory> allocate_pinned(size_t bytes) override {
    cudaSetDevice(gpu_);
    return std::make_unique<PinnedBlock>(bytes);
  }
  size_t free_bytes() const override {
    cudaSetDevice(gpu_);
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    return free;
  }

  // From memory that is not pinned the runtime takes its copy before the call returns.
  void to_device(void* to, const void* from, size_t bytes) override {
    if (bytes) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copying to the GPU");
  }
  void to_host(void* to, const void* from, size_t bytes) override {
    if (bytes) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "copying from the GPU");
  }
  void on_device(void* to, const void* from, size_t bytes) override {
    if (bytes) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_), "copying on the GPU");
  }
  void fill(void* to, int byte, size_t bytes) override {
    if (bytes) check(cudaMemsetAsync(to, byte, bytes, stream_), "filling memory");
  }
  void synchronize() override { check(cudaStreamSynchronize(stream_), "waiting for the GPU"); }

  std::unique_ptr<Recording> record(const std::function<void()>& work) override {
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "beginning a recording");
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(stream_, &graph);
      if (graph) cudaGraphDestroy(graph);
      throw;
    }
    check(cudaStreamEndCapture(stream_, &graph), "ending a recording");
    return std::make_unique<GraphRecording>(graph, stream_);
  }
  void emulate(std::function<void()>) override { ensure(false, "a GPU emulates nothing"); }

 private:
  int gpu_;
  cudaStream_t stream_ = nullptr;
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
