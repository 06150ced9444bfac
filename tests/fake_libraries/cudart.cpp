// The functions of the CUDA runtime that device/cuda/stream_driver.cpp uses, on memory of the host. It is as late as a GPU may be: work is done only when somebody
// waits for it, and reads and writes the memory as it is then. It is stricter than the real one where that is cheap:
//   - Work goes to streams of the thread's current device only; of copies and fills CUDA takes others too.
//   - Pageable memory is never taken at once.
//   - Releasing pinned memory waits for nothing; work that uses it later has reached for memory that is not there.
//   - Memory of a device is filled with kGarbage at first.
// After work that failed every call for that device fails, to the end of the process (here: to the next start()).
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/fake_libraries/cudart_state.h"

using namespace fake_cudart;

namespace {
bool known(int gpu) { return gpu >= 0 && static_cast<size_t>(gpu) < runtime.gpus.size(); }
Gpu& current_gpu() { return runtime.gpus[static_cast<size_t>(current)]; }
}  // namespace

extern "C" {
const char* cudaGetErrorName(cudaError_t status) { return status == cudaErrorIllegalAddress ? "cudaErrorIllegalAddress" : "FAKE_ERROR"; }
const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorIllegalAddress ? "an illegal memory access was encountered" : "of the fake";
}
cudaError_t cudaGetLastError() { return std::exchange(last, cudaSuccess); }
cudaError_t cudaDriverGetVersion(int* version) {
  return call("cudaDriverGetVersion", Needs::nothing, [&] {
    *version = runtime.machine.driver;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return call("cudaGetDeviceCount", Needs::driver, [&] {
    *count = runtime.machine.gpus;
    return cudaSuccess;
  });
}
cudaError_t cudaGetDevice(int* gpu) {
  return call("cudaGetDevice", Needs::driver, [&] {
    *gpu = current;
    return cudaSuccess;
  });
}
cudaError_t cudaSetDevice(int gpu) {
  return call("cudaSetDevice", Needs::driver, [&] {
    if (!known(gpu)) return cudaErrorInvalidDevice;
    current = gpu;
    return obstacle(Needs::gpu);
  });
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int gpu) {
  return call("cudaGetDeviceProperties", Needs::driver, [&] {
    if (!known(gpu)) return cudaErrorInvalidDevice;
    *properties = {};
    std::strcpy(properties->name, "Fake GPU");
    properties->totalGlobalMem = runtime.machine.gpu_bytes;
    return cudaSuccess;
  });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int gpu) {
  return call("cudaDeviceGetAttribute", Needs::driver, [&] {
    if (!known(gpu)) return cudaErrorInvalidDevice;
    if (attribute != cudaDevAttrComputeCapabilityMajor && attribute != cudaDevAttrComputeCapabilityMinor) return cudaErrorInvalidValue;
    *value = attribute == cudaDevAttrComputeCapabilityMajor ? 8 : 6;
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void** at, size_t bytes) {
  *at = nullptr;
  return call("cudaMalloc", Needs::no_capture, [&] {
    if (bytes == 0) return cudaSuccess;
    Gpu& gpu = current_gpu();
    if (bytes > runtime.machine.gpu_bytes - gpu.taken) return cudaErrorMemoryAllocation;
    gpu.taken += bytes;
    *at = add_block(bytes, current);
    return cudaSuccess;
  });
}
cudaError_t cudaFree(void* at) {
  return call(
      "cudaFree", Needs::no_capture,
      [&] {
        const auto found = runtime.blocks.find(static_cast<std::byte*>(at));
        if (found == runtime.blocks.end() || found->second.gpu == kHost) return cudaErrorInvalidValue;
        const cudaError_t status = run_all(found->second.gpu);
        runtime.gpus[static_cast<size_t>(found->second.gpu)].taken -= found->second.bytes;
        runtime.blocks.erase(found);
        return status;
      },
      Kind::release);
}
cudaError_t cudaMallocHost(void** at, size_t bytes) {
  *at = nullptr;
  return call("cudaMallocHost", Needs::no_capture, [&] {
    if (bytes == 0) return cudaSuccess;
    if (bytes > runtime.machine.pinned_bytes - runtime.pinned_bytes) return cudaErrorMemoryAllocation;
    ++runtime.pinned;
    runtime.pinned_bytes += bytes;
    *at = add_block(bytes, kHost);
    return cudaSuccess;
  });
}
cudaError_t cudaFreeHost(void* at) {
  return call(
      "cudaFreeHost", Needs::no_capture,
      [&] {
        const auto found = runtime.blocks.find(static_cast<std::byte*>(at));
        if (found == runtime.blocks.end() || found->second.gpu != kHost) return cudaErrorInvalidValue;
        --runtime.pinned;
        runtime.pinned_bytes -= found->second.bytes;
        runtime.blocks.erase(found);
        return cudaSuccess;
      },
      Kind::release);
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call("cudaMemGetInfo", Needs::gpu, [&] {
    *total = runtime.machine.gpu_bytes;
    *free = *total - current_gpu().taken;
    return cudaSuccess;
  });
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* at) {
  return call("cudaPointerGetAttributes", Needs::gpu, [&] {
    *attributes = {};
    attributes->type = holds(at, 1, kHost) ? cudaMemoryTypeHost : holds(at, 1, current) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  return call("cudaStreamCreateWithFlags", Needs::gpu, [&] {
    auto queue = std::make_shared<Queue>();
    queue->gpu = current;
    runtime.queues.push_back(queue);
    *stream = runtime.streams.add(queue);
    return cudaSuccess;
  });
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call(
      "cudaStreamDestroy", Needs::gpu, [&] { return runtime.streams.remove(stream); }, Kind::release);
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return call("cudaStreamSynchronize", Needs::gpu, [&] {
    const std::shared_ptr<Queue> queue = runtime.streams.find(stream);
    if (!queue) return cudaErrorInvalidResourceHandle;
    if (queue->capture) {
      queue->capture->valid = false;
      return cudaErrorStreamCaptureUnsupported;
    }
    ++runtime.waits.streams;
    return run_to(*queue, queue->begun());
  });
}

// In the direction that was said, between memory of this GPU and memory of the host that is still there then.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpyAsync", Needs::gpu, [&] {
    const int gpu = current;
    const bool pinned_to = holds(to, 1, kHost), pinned_from = holds(from, 1, kHost);
    const auto fits = [=] {
      const bool to_fits = kind == cudaMemcpyDeviceToHost ? !pinned_to || holds(to, bytes, kHost) : holds(to, bytes, gpu);
      return to_fits && (kind == cudaMemcpyHostToDevice ? !pinned_from || holds(from, bytes, kHost) : holds(from, bytes, gpu));
    };
    if (!fits()) return cudaErrorInvalidValue;
    return put(stream, [=] {
      if (!fits()) return false;
      std::memmove(to, from, bytes);
      return true;
    });
  });
}
cudaError_t cudaMemsetAsync(void* to, int byte, size_t bytes, cudaStream_t stream) {
  return call("cudaMemsetAsync", Needs::gpu, [&] {
    const int gpu = current;
    if (!holds(to, bytes, gpu)) return cudaErrorInvalidValue;
    return put(stream, [=] {
      if (!holds(to, bytes, gpu)) return false;
      std::memset(to, byte, bytes);
      return true;
    });
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return call("cudaEventCreateWithFlags", Needs::gpu, [&] {
    *event = runtime.events.add(std::make_shared<Mark>(Mark{current, nullptr, 0}));
    return cudaSuccess;
  });
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call(
      "cudaEventDestroy", Needs::gpu, [&] { return runtime.events.remove(event); }, Kind::release);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call("cudaEventRecord", Needs::gpu, [&] {
    const std::shared_ptr<Mark> mark = runtime.events.find(event);
    const std::shared_ptr<Queue> queue = runtime.streams.find(stream);
    if (!mark || !queue || mark->gpu != current || queue->gpu != current) return cudaErrorInvalidResourceHandle;
    if (queue->capture) return cudaErrorNotSupported;  // of the fake only
    mark->stream = queue;
    mark->begun = queue->begun();
    return cudaSuccess;
  });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call("cudaEventSynchronize", Needs::no_capture, [&] {
    const std::shared_ptr<Mark> mark = runtime.events.find(event);
    if (!mark) return cudaErrorInvalidResourceHandle;
    ++runtime.waits.events;
    return mark->stream ? run_to(*mark->stream, mark->begun) : cudaSuccess;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return call("cudaStreamBeginCapture", Needs::gpu, [&] {
    const std::shared_ptr<Queue> queue = runtime.streams.find(stream);
    if (!queue || queue->gpu != current) return cudaErrorInvalidResourceHandle;
    if (queue->capture) return cudaErrorIllegalState;
    queue->capture = std::make_unique<Capture>(Capture{std::this_thread::get_id(), mode, true, {}});
    return cudaSuccess;
  });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  return call("cudaStreamEndCapture", Needs::gpu, [&] {
    const std::shared_ptr<Queue> queue = runtime.streams.find(stream);
    if (!queue) return cudaErrorInvalidResourceHandle;
    if (!queue->capture) return cudaErrorIllegalState;
    if (queue->capture->mode != cudaStreamCaptureModeRelaxed && queue->capture->thread != std::this_thread::get_id())
      return cudaErrorStreamCaptureWrongThread;
    const std::unique_ptr<Capture> capture = std::move(queue->capture);
    if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
    *graph = runtime.graphs.add(std::make_shared<Graph>(Graph{std::move(capture->work)}));
    return cudaSuccess;
  });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call(
      "cudaGraphDestroy", Needs::driver, [&] { return runtime.graphs.remove(graph); }, Kind::release);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  return call("cudaGraphInstantiate", Needs::gpu, [&] {
    const std::shared_ptr<Graph> source = runtime.graphs.find(graph);
    if (!source) return cudaErrorInvalidValue;
    *executable = runtime.executables.add(std::make_shared<Executable>(Executable{current, std::make_shared<const std::vector<Work>>(source->work)}));
    return cudaSuccess;
  });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return call(
      "cudaGraphExecDestroy", Needs::gpu, [&] { return runtime.executables.remove(executable); }, Kind::release);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return call("cudaGraphLaunch", Needs::gpu, [&] {
    const std::shared_ptr<Executable> source = runtime.executables.find(executable);
    if (!source || source->gpu != current) return cudaErrorInvalidResourceHandle;
    return put(stream, [work = source->work] { return std::ranges::all_of(*work, [](const Work& piece) { return piece(); }); });
  });
}
}
