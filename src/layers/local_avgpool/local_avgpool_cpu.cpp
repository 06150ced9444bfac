// [local_avgpool] on the CPU. An item is one channel block of one image, forward and backward: it owns the gradient cells it adds to, so windows may
// overlap and the order of additions never changes.
#include <algorithm>
#include <array>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/local_avgpool/local_avgpool.h"

namespace dn {
namespace {

constexpr size_t kMaxBlock = 16;

// The cells of a window that lie in the map.
struct Area {
  int top, bottom, left, right;  // first and past the last
  float share() const { return 1.f / static_cast<float>((bottom - top) * (right - left)); }
};

class LocalAvgpoolCpu : public Kernel {
 public:
  LocalAvgpoolCpu(const LocalAvgpool& layer, cpu::Device& device, const KernelArgs& args)
      : device_(device), window_(layer.window()), dx_(args.dx), in_(args.x[0].shape), out_(args.y.shape), block_(static_cast<size_t>(args.y.block)) {
    ensure(args.x[0].block == args.y.block && block_ <= kMaxBlock, "local_avgpool needs blocked tensors");
    items_ = static_cast<size_t>(out_.n) * static_cast<size_t>(args.y.channel_blocks());
  }
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    cpu::parallel_for(device_.threads(), items_, [&](size_t item) {
      const float* x = io.x[0].data + item * in_.plane() * block_;
      float* y = io.y.data + item * out_.plane() * block_;
      each_window([&](size_t pixel, const Area& area) {
        std::array<float, kMaxBlock> sum{};
        each_cell(area, [&](size_t cell) {
          for (size_t l = 0; l < block_; ++l) sum[l] += x[cell * block_ + l];
        });
        for (size_t l = 0; l < block_; ++l) y[pixel * block_ + l] = sum[l] * area.share();
      });
    });
  }

  void backward(const Io& io, const Pass&) override {
    if (dx_.empty() || dx_[0] == Write::none) return;
    cpu::parallel_for(device_.threads(), items_, [&](size_t item) {
      const float* dy = io.dy.data + item * out_.plane() * block_;
      float* dx = io.dx[0].data + item * in_.plane() * block_;
      if (dx_[0] == Write::overwrite) std::fill_n(dx, in_.plane() * block_, 0.f);
      each_window([&](size_t pixel, const Area& area) {
        std::array<float, kMaxBlock> part{};
        for (size_t l = 0; l < block_; ++l) part[l] = dy[pixel * block_ + l] * area.share();
        each_cell(area, [&](size_t cell) {
          for (size_t l = 0; l < block_; ++l) dx[cell * block_ + l] += part[l];
        });
      });
    });
  }

 private:
  // visit(pixel of the output, its window) for every pixel.
  template <class Visit>
  void each_window(const Visit& visit) const {
    for (int i = 0; i < out_.h; ++i)
      for (int j = 0; j < out_.w; ++j) {
        const int top = i * window_.stride_y - window_.offset(), left = j * window_.stride_x - window_.offset();
        const Area area{std::max(top, 0), std::min(top + window_.size, in_.h), std::max(left, 0), std::min(left + window_.size, in_.w)};
        visit(static_cast<size_t>(i) * static_cast<size_t>(out_.w) + static_cast<size_t>(j), area);
      }
  }
  // visit(pixel of the input) for every pixel of a window.
  template <class Visit>
  void each_cell(const Area& area, const Visit& visit) const {
    for (int row = area.top; row < area.bottom; ++row)
      for (int column = area.left; column < area.right; ++column)
        visit(static_cast<size_t>(row) * static_cast<size_t>(in_.w) + static_cast<size_t>(column));
  }

  cpu::Device& device_;
  PoolWindow window_;
  std::vector<Write> dx_;
  Shape in_, out_;
  size_t block_, items_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> LocalAvgpool::compile_cpu(const LocalAvgpool& layer, cpu::Device& device, const KernelArgs& args) {
  return antialiased(layer.antialias(), device, args, layer.pooled_shape(args.x[0].shape),
                     [&](const KernelArgs& own) { return std::make_unique<LocalAvgpoolCpu>(layer, device, own); });
}

}  // namespace dn
