// A plan on a GPU: parameters in their mirror, CPU kernels where a layer has none of its own, recordings of whole runs of steps.
#include "graph/plan_backend_cuda.h"

#include <map>
#include <mutex>

#include "device/cpu/device.h"
#include "device/cuda/device.h"
#include "layers/registry.h"
#include "nn/cuda/host_fallback.h"
#include "nn/cuda/layout.h"
#include "nn/cuda/param_mirror.h"

namespace dn {
namespace {

class CudaBackend : public PlanBackend {
 public:
  CudaBackend(Network& network, cuda::Device& device, bool training)
      : params_(network.params()), device_(device), mirror_(cuda::ParamMirror::of(network.params(), device)), training_(training) {
    if (training) params_.allocate_grads(), mirror_.allocate_grads();
  }

  std::unique_ptr<Kernel> compile(const Layer& layer, const KernelArgs& args) override {
    const LayerType& type = *find_layer_type(layer.type());
    if (type.compile_cuda)
      if (auto kernel = type.compile_cuda(layer, device_, args)) return kernel;
    ensure(!args.residual && !args.keeps_dy, "a layer that finishes a sum has a kernel of its own");
    if (!host_) host_ = std::make_unique<cpu::Device>(cpu::DeviceOptions{.threads = device_.threads()});
    host_layers_.push_back(layer.index());
    return cuda::host_fallback(layer, type.compile_cpu, *host_, device_, args);
  }
  void compiled() override { device_.convolutions().save(); }
  std::vector<int> host_layers() const override { return host_layers_; }

  ParamView view(const ParamSegment& segment) override {
    const size_t count = segment.spec.count;
    return {{mirror_.values() + segment.offset, count}, training_ ? std::span(mirror_.grads() + segment.offset, count) : std::span<float>{}};
  }
  int64_t* norm_updates(int layer) override { return mirror_.updates(params_.owner(layer)); }
  void clear_gradient(const ParamSegment& segment) override {
    device_.stream().fill(mirror_.grads() + segment.offset, 0, segment.spec.count * sizeof(float));
  }

  void load_input(const float* images, const Tensor& to) override {
    const size_t bytes = to.desc.shape.count() * sizeof(float);
    if (!staging_ || staging_->bytes() < bytes) staging_ = device_.allocate(bytes);
    device_.stream().to_device(staging_->data(), images, bytes);
    cuda::planar_to_channels_last(device_.stream(), reinterpret_cast<const float*>(staging_->data()), to);
  }

  Tensor on_host(int layer, const Tensor& output) override {
    const std::lock_guard lock(mutex_);
    auto [found, made] = outputs_.try_emplace(layer);
    std::vector<float>& copy = found->second;
    const TensorDesc desc{output.desc.shape, 1};
    if (!made) return {desc, copy.data()};
    copy.resize(desc.count());
    const size_t bytes = desc.bytes();
    const float* from = output.data;
    if (output.desc.channels_last) {
      if (!planar_ || planar_->bytes() < bytes) planar_ = device_.allocate(bytes);
      float* const planar = reinterpret_cast<float*>(planar_->data());
      cuda::channels_last_to_planar(device_.stream(), output, planar);
      from = planar;
    }
    device_.stream().to_host(copy.data(), from, bytes);
    device_.synchronize();
    return {desc, copy.data()};
  }

  void begin(const Pass& pass, bool backward) override {
    mirror_.sync(params_);
    if (!backward) outputs_.clear();
    device_.set_numbers({pass.iteration, pass.seed, pass.first_image, pass.micro_step, pass.micro_steps, static_cast<float>(pass.progress), pass.loss_scale});
    if (backward) params_.grads_are_in_copy();
    if (pass.training) params_.values_are_in_copy();   // running statistics
  }

  // The first run of a kind goes step by step: what kernels do once is done then.
  void run(const StepsKey& key, bool can_record, const std::function<void()>& steps) override {
    if (!can_record || !device_.options().recordings) return steps();
    auto [found, made] = recordings_.try_emplace(key);
    if (made) return steps();
    if (!found->second) found->second = device_.stream().record(steps);
    found->second->replay();
  }
  void synchronize() override { device_.synchronize(); }

 private:
  ParamStore& params_;
  cuda::Device& device_;
  cuda::ParamMirror& mirror_;
  bool training_;
  std::unique_ptr<cpu::Device> host_;
  std::vector<int> host_layers_;
  std::unique_ptr<DeviceMemory> staging_, planar_;
  std::mutex mutex_;                              // outputs are read by several threads
  std::map<int, std::vector<float>> outputs_;     // on the host, of the last forward pass
  std::map<StepsKey, std::unique_ptr<cuda::Recording>> recordings_;
};

}  // namespace

std::unique_ptr<PlanBackend> make_cuda_backend(Network& network, Device& device, bool training) {
  return std::make_unique<CudaBackend>(network, static_cast<cuda::Device&>(device), training);
}

}  // namespace dn
