#include "train/device_choice.h"

#include "base/log.h"

namespace dn {
namespace {

constexpr int kLeastCapability = 75;   // what the kernels are compiled for

std::string capability_text(int capability) { return concat(capability / 10, ".", capability % 10); }

std::string obstacle(const DeviceChoice& choice, const cuda::Gpus& gpus) {
  if (choice.gpu.emulated) return {};
  if (gpus.count == 0) return gpus.reason;
  if (choice.gpu.gpu >= gpus.count) return concat("this machine has ", gpus.count, gpus.count == 1 ? " GPU" : " GPUs");
  const int capability = cuda::compute_capability(choice.gpu.gpu);
  if (capability >= kLeastCapability) return {};
  return concat("GPU ", choice.gpu.gpu, " has compute capability ", capability_text(capability), "; expected ", capability_text(kLeastCapability), " or later");
}

std::unique_ptr<Device> open_cpu(const DeviceChoice& choice) { return std::make_unique<cpu::Device>(choice.cpu); }

std::unique_ptr<Device> open_gpu(const DeviceChoice& choice, bool emulated) {
  cuda::DeviceOptions options = choice.gpu;
  options.threads = choice.cpu.threads;
  options.emulated = emulated;
  if (choice.precision)
    options.precision = *choice.precision;
  else if (!emulated)
    options.precision = best_precision(cuda::compute_capability(options.gpu));
  return std::make_unique<cuda::Device>(options);
}

}  // namespace

std::string gpu_obstacle(const DeviceChoice& choice) { return obstacle(choice, cuda::find_gpus()); }

cuda::Precision best_precision(int compute_capability) { return compute_capability >= 80 ? cuda::Precision::bf16 : cuda::Precision::fp32; }

std::unique_ptr<Device> open_device(const DeviceChoice& choice, DeviceUse use) {
  const bool named = choice.which == DeviceChoice::Which::gpu;
  if (named && choice.gpu.emulated) return open_gpu(choice, true);
  std::string why;
  if (choice.which != DeviceChoice::Which::cpu) {
    const cuda::Gpus gpus = cuda::find_gpus();
    why = obstacle(choice, gpus);
    if (why.empty()) return open_gpu(choice, false);
    if (named && gpus.count > 0) fail("-i ", choice.gpu.gpu, ": ", why);
    // A program without code for GPUs is not to speak of them unasked.
    if (named || (use == DeviceUse::training && gpus.in_build))
      log::warn(concat("GPU: ", why, "; ", use == DeviceUse::training ? "training" : "computing", " on the CPU"));
  }
  // Its options for the GPU are for nobody then.
  if (choice.precision && *choice.precision != cuda::Precision::fp32)
    log::warn(concat("-prec ", cuda::precision_name(*choice.precision), " changes nothing: the CPU computes in fp32"));
  return open_cpu(choice);
}

std::unique_ptr<Device> open_device_to_plan(const DeviceChoice& choice) {
  if (choice.which == DeviceChoice::Which::cpu) return open_cpu(choice);
  if (!choice.gpu.emulated) {
    if (gpu_obstacle(choice).empty()) {
      DeviceChoice unmeasured = choice;
      unmeasured.gpu.convolutions.measure = false;
      return open_gpu(unmeasured, false);
    }
    if (choice.which == DeviceChoice::Which::automatic) return open_cpu(choice);
  }
  return open_gpu(choice, true);
}

std::optional<size_t> free_device_memory(Device& device) {
  if (device.kind() == DeviceKind::cpu) return std::nullopt;
  auto& gpu = static_cast<cuda::Device&>(device);
  gpu.convolutions();   // what its library takes is no longer free
  return gpu.stream().free_bytes();
}

}  // namespace dn
