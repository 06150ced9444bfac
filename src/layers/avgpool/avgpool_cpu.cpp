// [avgpool] on the CPU: one item is one channel block of one image; rows are summed in float and added up in double.
#include <array>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/avgpool/avgpool.h"

namespace dn {
namespace {

constexpr size_t kMaxBlock = 16;

class AvgpoolCpu : public Kernel {
 public:
  AvgpoolCpu(cpu::Device& device, const KernelArgs& args) : device_(device), dx_(args.dx), block_(static_cast<size_t>(args.y.block)) {
    ensure(args.x[0].block == args.y.block && block_ <= kMaxBlock, "avgpool needs blocked tensors");
    width_ = static_cast<size_t>(args.x[0].shape.w);
    plane_ = args.x[0].shape.plane();
    items_ = static_cast<size_t>(args.y.shape.n) * static_cast<size_t>(args.y.channel_blocks());
  }
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    cpu::parallel_for(device_.threads(), items_, [&](size_t item) {
      const float* x = io.x[0].data + item * plane_ * block_;
      std::array<double, kMaxBlock> sum{};
      for (size_t start = 0; start < plane_; start += width_) {
        std::array<float, kMaxBlock> row{};
        for (size_t i = start; i < start + width_; ++i)
          for (size_t l = 0; l < block_; ++l) row[l] += x[i * block_ + l];
        for (size_t l = 0; l < block_; ++l) sum[l] += static_cast<double>(row[l]);
      }
      for (size_t l = 0; l < block_; ++l) io.y.data[item * block_ + l] = static_cast<float>(sum[l] / static_cast<double>(plane_));
    });
  }

  void backward(const Io& io, const Pass&) override {
    if (dx_.empty() || dx_[0] == Write::none) return;
    const bool accumulate = dx_[0] == Write::accumulate;
    cpu::parallel_for(device_.threads(), items_, [&](size_t item) {
      float* dx = io.dx[0].data + item * plane_ * block_;
      std::array<float, kMaxBlock> part{};
      for (size_t l = 0; l < block_; ++l) part[l] = io.dy.data[item * block_ + l] / static_cast<float>(plane_);
      for (size_t i = 0; i < plane_; ++i)
        for (size_t l = 0; l < block_; ++l) dx[i * block_ + l] = accumulate ? dx[i * block_ + l] + part[l] : part[l];
    });
  }

 private:
  cpu::Device& device_;
  std::vector<Write> dx_;
  size_t block_, width_ = 0, plane_ = 0, items_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> Avgpool::compile_cpu(const Avgpool&, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<AvgpoolCpu>(device, args);
}

}  // namespace dn
