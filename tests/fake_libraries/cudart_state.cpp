#include "tests/fake_libraries/cudart_state.h"

#include <cstring>
#include <utility>

namespace fake_cudart {

Runtime runtime;
thread_local int current = 0;
thread_local cudaError_t last = cudaSuccess;

namespace {

std::mutex mutex;

// What allocates or waits ends the captures that must not know of it.
cudaError_t refuse_in_captures() {
  cudaError_t status = cudaSuccess;
  for (const auto& queue : runtime.queues) {
    Capture* capture = queue->capture.get();
    if (!capture || capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode != cudaStreamCaptureModeGlobal && capture->thread != std::this_thread::get_id()) continue;
    capture->valid = false;
    status = cudaErrorStreamCaptureUnsupported;
  }
  return status;
}

cudaError_t injected(const char* function) {
  const auto found = runtime.injected.find(function);
  if (found == runtime.injected.end()) return cudaSuccess;
  const cudaError_t status = found->second;
  runtime.injected.erase(found);
  return status;
}

}  // namespace

bool holds(const void* at, size_t bytes, int gpu) {
  auto after = runtime.blocks.upper_bound(static_cast<const std::byte*>(at));
  if (after == runtime.blocks.begin()) return false;
  const auto& [first, block] = *--after;
  const auto offset = static_cast<size_t>(static_cast<const std::byte*>(at) - first);
  return block.gpu == gpu && offset <= block.bytes && bytes <= block.bytes - offset;
}

void* add_block(size_t bytes, int gpu) {
  Block block{std::make_unique<std::byte[]>(bytes), bytes, gpu};
  std::byte* at = block.memory.get();
  std::memset(at, kGarbage, bytes);
  runtime.blocks[at] = std::move(block);
  return at;
}

cudaError_t run_to(Queue& queue, size_t end) {
  cudaError_t& broken = runtime.gpus[static_cast<size_t>(queue.gpu)].broken;
  while (queue.done < end) {
    const Work work = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    ++queue.done;
    if (broken == cudaSuccess && !work()) broken = cudaErrorIllegalAddress;
  }
  return broken;
}
cudaError_t run_all(int gpu) {
  for (const auto& queue : runtime.queues)
    if (queue->gpu == gpu) run_to(*queue, queue->begun());
  return runtime.gpus[static_cast<size_t>(gpu)].broken;
}

cudaError_t put(cudaStream_t stream, Work work) {
  const std::shared_ptr<Queue> queue = runtime.streams.find(stream);
  if (!queue || queue->gpu != current) return cudaErrorInvalidResourceHandle;
  if (!queue->capture)
    queue->waiting.push_back(std::move(work));
  else if (!queue->capture->valid)
    return cudaErrorStreamCaptureInvalidated;
  else
    queue->capture->work.push_back(std::move(work));
  return cudaSuccess;
}

cudaError_t obstacle(Needs needs) {
  if (needs == Needs::nothing) return cudaSuccess;
  if (runtime.machine.driver < CUDART_VERSION / 1000 * 1000) return cudaErrorInsufficientDriver;
  if (runtime.gpus.empty()) return cudaErrorNoDevice;
  if (needs == Needs::driver) return cudaSuccess;
  Gpu& gpu = runtime.gpus[static_cast<size_t>(current)];
  gpu.awake = true;
  if (gpu.broken != cudaSuccess) return gpu.broken;
  return needs == Needs::no_capture ? refuse_in_captures() : cudaSuccess;
}

cudaError_t call(const char* function, Needs needs, const std::function<cudaError_t()>& body, Kind kind) {
  std::unique_lock lock(mutex);
  cudaError_t status = injected(function);
  if (status == cudaSuccess) status = obstacle(needs);
  if (status == cudaSuccess)
    status = body();
  else if (status == cudaErrorIllegalAddress && kind == Kind::release)
    body();
  if (status != cudaSuccess) last = status;
  lock.unlock();
  std::this_thread::yield();  // so that threads meet in the middle of what they do
  return status;
}

void start(const Machine& machine) {
  const std::lock_guard lock(mutex);
  runtime = Runtime{};
  runtime.machine = machine;
  runtime.gpus.resize(static_cast<size_t>(machine.gpus));
  current = 0;
  last = cudaSuccess;
}
Things things() {
  const std::lock_guard lock(mutex);
  return {runtime.streams.size(), runtime.events.size(), runtime.blocks.size() - runtime.pinned,
          runtime.pinned,         runtime.graphs.size(), runtime.executables.size()};
}
Waits waits() {
  const std::lock_guard lock(mutex);
  return runtime.waits;
}
size_t undone() {
  const std::lock_guard lock(mutex);
  size_t count = 0;
  for (const auto& queue : runtime.queues) count += queue->waiting.size();
  return count;
}
std::vector<int> awake() {
  const std::lock_guard lock(mutex);
  std::vector<int> those;
  for (size_t i = 0; i < runtime.gpus.size(); ++i)
    if (runtime.gpus[i].awake) those.push_back(static_cast<int>(i));
  return those;
}
int last_error() { return last; }
void fail_next(const std::string& function, int status) {
  const std::lock_guard lock(mutex);
  runtime.injected[function] = static_cast<cudaError_t>(status);
}
void launch(void* stream, std::function<bool()> kernel) {
  call("launch", Needs::gpu, [&] { return put(static_cast<cudaStream_t>(stream), std::move(kernel)); });
}

}  // namespace fake_cudart
