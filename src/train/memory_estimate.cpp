#include "train/memory_estimate.h"

#include <sys/resource.h>

#include <fstream>
#include <sstream>
#include <string>

#include "nn/cuda/image_input.h"

namespace dn {
namespace {

constexpr size_t kProcess = size_t{27} << 20;  // measured: code, oneDNN's generated kernels, stacks, decoded images

// Memory that the system could give without swapping; unknown: as much as one likes.
size_t available_bytes() {
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("MemAvailable:")) {
      std::istringstream words(line);
      std::string name;
      size_t kibibytes = 0;
      if (words >> name >> kibibytes) return kibibytes << 10;
    }
  return size_t{1} << 46;
}

}  // namespace

MemoryEstimate estimate_training(const Network& network, const PlanReport& plan, int width, int height, DeviceKind device) {
  MemoryEstimate m;
  m.device = device;
  m.arena = plan.arena_bytes;
  m.parameters = m.gradients = m.momentum = network.params().count() * sizeof(float);
  if (network.spec().adam) m.momentum *= 2;
  if (network.spec().ema_alpha > 0) m.averages = m.parameters;
  m.packed = plan.kernel_bytes;
  m.batches = network.input(network.spec().batch, width, height).count() * sizeof(float) * 2;
  if (device != DeviceKind::cpu) m.images = drawing_bytes(network, network.spec().mini_batch(), width, height);
  m.process = kProcess;
  return m;
}

MemoryEstimate estimate_inference(const Network& network, const PlanReport& plan, int images, DeviceKind device) {
  MemoryEstimate m;
  m.device = device;
  m.arena = plan.arena_bytes;
  m.parameters = network.params().count() * sizeof(float);
  m.packed = plan.kernel_bytes;
  m.batches = 2 * network.input(images).count() * sizeof(float);
  if (device != DeviceKind::cpu) m.images = network.input(images).count() * sizeof(float);
  m.process = kProcess;
  return m;
}

size_t drawing_bytes(const Network& network, int images, int width, int height) {
  return cuda::ImageInput::most_bytes(network.input(images, width, height), network.spec().blur > 0);
}

size_t free_memory() { return available_bytes() / 5 * 4; }

size_t peak_resident_bytes() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace dn
