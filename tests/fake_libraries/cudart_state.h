// What is behind the runtime that pretends to be CUDA's (cudart.cpp): its GPUs, memory, streams, and the work that waits in them. One lock is around everything,
// and `call` takes it.
#pragma once

#include <cuda_runtime_api.h>

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "tests/fake_libraries/cudart.h"

namespace fake_cudart {

using Work = std::function<bool()>;  // false: reached for memory that is not there
constexpr int kGarbage = 0xA5, kHost = -1;

struct Block {
  std::unique_ptr<std::byte[]> memory;
  size_t bytes = 0;
  int gpu = kHost;
};
struct Capture {
  std::thread::id thread;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  bool valid = true;
  std::vector<Work> work;
};
struct Queue {  // a stream
  int gpu = 0;
  std::deque<Work> waiting;
  size_t done = 0;
  std::unique_ptr<Capture> capture;
  size_t begun() const { return done + waiting.size(); }
};
struct Mark {  // an event
  int gpu = 0;
  std::shared_ptr<Queue> stream;
  size_t begun = 0;
};
struct Graph {
  std::vector<Work> work;
};
struct Executable {
  int gpu = 0;
  std::shared_ptr<const std::vector<Work>> work;
};
struct Gpu {
  bool awake = false;
  cudaError_t broken = cudaSuccess;
  size_t taken = 0;
};

// Things behind the handles of CUDA.
template <class Handle, class T>
class Shelf {
 public:
  Handle add(std::shared_ptr<T> thing) {
    const auto handle = reinterpret_cast<Handle>(thing.get());
    things_[handle] = std::move(thing);
    return handle;
  }
  std::shared_ptr<T> find(Handle handle) const {
    const auto found = things_.find(handle);
    return found == things_.end() ? nullptr : found->second;
  }
  cudaError_t remove(Handle handle) { return things_.erase(handle) ? cudaSuccess : cudaErrorInvalidResourceHandle; }
  size_t size() const { return things_.size(); }

 private:
  std::map<Handle, std::shared_ptr<T>> things_;
};

struct Runtime {
  fake_cudart::Machine machine;
  std::vector<Gpu> gpus;
  std::map<const std::byte*, Block> blocks;
  size_t pinned = 0, pinned_bytes = 0;
  std::vector<std::shared_ptr<Queue>> queues;  // those that were destroyed too: their work is still to be done
  Shelf<cudaStream_t, Queue> streams;
  Shelf<cudaEvent_t, Mark> events;
  Shelf<cudaGraph_t, Graph> graphs;
  Shelf<cudaGraphExec_t, Executable> executables;
  fake_cudart::Waits waits;
  std::map<std::string, cudaError_t> injected;
};
extern Runtime runtime;
extern thread_local int current;  // GPU
extern thread_local cudaError_t last;

bool holds(const void* at, size_t bytes, int gpu);  // one block of that GPU's memory, or of kHost's
void* add_block(size_t bytes, int gpu);
cudaError_t put(cudaStream_t stream, Work work);
cudaError_t run_to(Queue& queue, size_t end);  // up to the `end`th piece of work that was ever put there
cudaError_t run_all(int gpu);

enum class Needs { nothing, driver, gpu, no_capture };  // each what those before it need
enum class Kind { use, release };                       // what is released is gone even where the GPU is broken
cudaError_t obstacle(Needs needs);
cudaError_t call(const char* function, Needs needs, const std::function<cudaError_t()>& body, Kind kind = Kind::use);

}  // namespace fake_cudart
