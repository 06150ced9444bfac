#include "graph/plan_backend.h"

#include "device/cpu/conv_choice.h"
#include "device/cpu/device.h"
#include "graph/plan_backend_cuda.h"
#include "layers/registry.h"
#include "nn/elementwise.h"

namespace dn {
namespace {

class CpuBackend : public PlanBackend {
 public:
  CpuBackend(Network& network, cpu::Device& device, bool training) : params_(network.params()), device_(device), training_(training) {
    if (training) params_.allocate_grads();
  }
  std::unique_ptr<Kernel> compile(const Layer& layer, const KernelArgs& args) override {
    return find_layer_type(layer.type())->compile_cpu(layer, device_, args);
  }
  void compiled() override { cpu::save_choices(); }
  ParamView view(const ParamSegment& segment) override {
    return {params_.values(segment), training_ ? params_.grads(segment) : std::span<float>{}};
  }
  void clear_gradient(const ParamSegment& segment) override { std::ranges::fill(params_.grads(segment), 0.0f); }
  Tensor on_host(int, const Tensor& output) override { return output; }
  void begin(const Pass&, bool) override {}
  void run(const StepsKey&, bool, const std::function<void()>& steps) override { steps(); }

  void load_input(const float* images, const Tensor& to) override {
    const Shape& s = to.desc.shape;
    zero(device_.threads(), to.data, to.desc.count());
    cpu::parallel_for(device_.threads(), static_cast<size_t>(s.n) * static_cast<size_t>(s.c), [&](size_t i) {
      const int n = static_cast<int>(i) / s.c, c = static_cast<int>(i) % s.c;
      float* out = &to.at(n, c, 0, 0);
      const float* from = images + i * s.plane();
      for (size_t at = 0; at < s.plane(); ++at) out[at * static_cast<size_t>(to.desc.block)] = from[at];
    });
  }

 private:
  ParamStore& params_;
  cpu::Device& device_;
  bool training_;
};

}  // namespace

std::unique_ptr<PlanBackend> make_plan_backend(Network& network, Device& device, bool training) {
  if (device.kind() == DeviceKind::cuda) return make_cuda_backend(network, device, training);
  return std::make_unique<CpuBackend>(network, static_cast<cpu::Device&>(device), training);
}

}  // namespace dn
