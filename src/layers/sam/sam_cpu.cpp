// [sam] on the CPU: an item is one channel block of one image.
#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/sam/sam.h"

namespace dn {
namespace {

class SamCpu : public Kernel {
 public:
  SamCpu(const Sam& layer, cpu::Device& device, const KernelArgs& args) : device_(device), activation_(layer.activation()), args_(args) {
    ensure(args.x[0].block == args.y.block && args.x[1].block == args.y.block, "sam needs equally blocked tensors");
    args_.dx.resize(2, Write::none);
    blocks_ = static_cast<size_t>(args.y.channel_blocks());
  }
  Needs needs() const override { return {.x_in_backward = args_.backward}; }

  void forward(const Io& io, const Pass&) override {
    const float *a = io.x[0].data, *x = io.x[1].data;
    each_block([&](size_t first, size_t last, int lanes) {
      for (size_t i = first; i < last; ++i) io.y.data[i] = lane(i) < lanes ? activate(activation_, a[i] * x[i]) : 0.f;
    });
  }

  // Source after source: `from` may be the layer before, and its second gradient then adds to the first.
  void backward(const Io& io, const Pass&) override {
    const float *a = io.x[0].data, *x = io.x[1].data;
    for (const size_t s : {size_t{0}, size_t{1}}) {
      if (args_.dx[s] == Write::none) continue;
      const float* other = s == 0 ? x : a;
      const bool add = args_.dx[s] == Write::accumulate;
      float* dx = io.dx[s].data;
      each_block([&](size_t first, size_t last, int lanes) {
        for (size_t i = first; i < last; ++i) {
          const float part = lane(i) < lanes ? io.dy.data[i] * activation_slope(activation_, a[i] * x[i]) * other[i] : 0.f;
          dx[i] = add ? dx[i] + part : part;
        }
      });
    }
  }

 private:
  int lane(size_t i) const { return static_cast<int>(i % static_cast<size_t>(args_.y.block)); }

  // visit(first float, past the last, lanes with a channel) for every channel block of every image.
  template <class Visit>
  void each_block(const Visit& visit) const {
    const size_t length = args_.y.block_stride();
    cpu::parallel_for(device_.threads(), static_cast<size_t>(args_.y.shape.n) * blocks_, [&](size_t item) {
      visit(item * length, (item + 1) * length, args_.y.shape.c - static_cast<int>(item % blocks_) * args_.y.block);
    });
  }

  cpu::Device& device_;
  Activation activation_;
  KernelArgs args_;
  size_t blocks_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> Sam::compile_cpu(const Sam& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<SamCpu>(layer, device, args);
}

}  // namespace dn
