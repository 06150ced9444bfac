// [cost] on the CPU: a copy at inference; training is refused when the plan is made. A view would do, but would let training pass unnoticed.
#include "device/cpu/device.h"
#include "layers/cost/cost.h"
#include "nn/elementwise.h"

namespace dn {
namespace {

class CostCpu : public Kernel {
 public:
  CostCpu(cpu::Device& device, const KernelArgs& args) : device_(device), count_(args.y.count()) {
    ensure(args.x[0].block == args.y.block, "cost copies between equal layouts");
  }
  Needs needs() const override { return {}; }
  void forward(const Io& io, const Pass&) override { copy_to(device_.threads(), io.y.data, io.x[0].data, count_); }
  void backward(const Io&, const Pass&) override { ensure(false, "no training plan has a [cost]"); }

 private:
  cpu::Device& device_;
  size_t count_;
};

}  // namespace

std::unique_ptr<Kernel> Cost::compile_cpu(const Cost& layer, cpu::Device& device, const KernelArgs& args) {
  if (args.training) fail(layer.section().where(), ": cannot be trained: it needs class targets, which detector training does not have");
  return std::make_unique<CostCpu>(device, args);
}

}  // namespace dn
