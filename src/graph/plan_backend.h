// What a plan does differently on the host and on a GPU: where parameters are, how kernels are compiled, how images get in and outputs out, and how a
// run of steps is carried out.
#pragma once

#include <functional>
#include <memory>

#include "device/device.h"
#include "graph/network.h"
#include "nn/kernel.h"

namespace dn {

// Which runs of steps are alike, so that a device may record one and replay it.
struct StepsKey {
  bool backward = false, training = false, continues = false;
  Pass::Stage stage = Pass::Stage::only;
  Write param_grads = Write::overwrite;
  auto operator<=>(const StepsKey&) const = default;
};

class PlanBackend {
 public:
  virtual ~PlanBackend() = default;
  virtual std::unique_ptr<Kernel> compile(const Layer& layer, const KernelArgs& args) = 0;
  virtual void compiled() {}   // all kernels are
  virtual std::vector<int> host_layers() const { return {}; }   // PlanReport::host_layers
  // Parameter `segment` as kernels see it.
  virtual ParamView view(const ParamSegment& segment) = 0;
  virtual int64_t* norm_updates(int /*layer*/) { return nullptr; }
  virtual void clear_gradient(const ParamSegment& segment) = 0;
  // images: dense planar floats [N,C,H,W] of the host, into `to`.
  virtual void load_input(const float* images, const Tensor& to) = 0;
  // Where the host reads an output: the tensor itself, or a copy until the next forward pass.
  virtual Tensor on_host(int layer, const Tensor& output) = 0;
  // Before the steps of a pass.
  virtual void begin(const Pass& pass, bool backward) = 0;
  // Runs `steps`; can_record: all of them are Kernel::recordable and on fixed addresses.
  virtual void run(const StepsKey& key, bool can_record, const std::function<void()>& steps) = 0;
  virtual void synchronize() {}
};

std::unique_ptr<PlanBackend> make_plan_backend(Network& network, Device& device, bool training);

}  // namespace dn
