// [maxpool] with maxpool_depth=1 on the CPU: an item is one row of pixels of one image, all channels. Every input channel belongs to one output
// channel, so a gradient cell has one writer.
#include <algorithm>
#include <cstdint>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/maxpool/maxpool.h"

namespace dn {
namespace {

class MaxpoolDepthCpu : public Kernel {
 public:
  MaxpoolDepthCpu(cpu::Device& device, const KernelArgs& args) : device_(device), x_(args.x[0]), y_(args.y) {
    if (args.backward && !args.dx.empty()) dx_ = args.dx[0];
    rows_ = static_cast<size_t>(y_.shape.h);
  }

  Needs needs() const override {
    if (dx_ == Write::none) return {};
    return {.saved = {y_.shape.count() * sizeof(uint32_t)}};
  }

  void forward(const Io& io, const Pass&) override {
    uint32_t* winners = dx_ == Write::none ? nullptr : reinterpret_cast<uint32_t*>(io.saved[0]);
    each_row([&](int n, int row) {
      for (int g = 0; g < y_.padded_channels(); ++g)
        for (int j = 0; j < y_.shape.w; ++j) {
          float& y = io.y.data[y_.offset(n, g, row, j)];
          if (g >= y_.shape.c) {
            y = 0;
            continue;
          }
          int best = g;
          y = io.x[0].data[x_.offset(n, g, row, j)];
          for (int k = g + y_.shape.c; k < x_.shape.c; k += y_.shape.c)
            if (const float v = io.x[0].data[x_.offset(n, k, row, j)]; v > y) y = v, best = k;
          if (winners) winners[winner(n, g, row, j)] = static_cast<uint32_t>(best);
        }
    });
  }

  void backward(const Io& io, const Pass&) override {
    if (dx_ == Write::none) return;
    const uint32_t* winners = reinterpret_cast<const uint32_t*>(io.saved[0]);
    float* dx = io.dx[0].data;
    each_row([&](int n, int row) {
      for (int first = 0; dx_ == Write::overwrite && first < x_.padded_channels(); first += x_.block)
        std::fill_n(dx + x_.offset(n, first, row, 0), static_cast<size_t>(x_.shape.w) * static_cast<size_t>(x_.block), 0.f);
      for (int g = 0; g < y_.shape.c; ++g)
        for (int j = 0; j < y_.shape.w; ++j)
          dx[x_.offset(n, static_cast<int>(winners[winner(n, g, row, j)]), row, j)] += io.dy.data[y_.offset(n, g, row, j)];
    });
  }

 private:
  // Where the winner of a value is kept: plain [N,C,H,W].
  size_t winner(int n, int g, int row, int column) const { return TensorDesc{y_.shape}.offset(n, g, row, column); }

  template <class Visit>
  void each_row(const Visit& visit) const {
    cpu::parallel_for(device_.threads(), static_cast<size_t>(y_.shape.n) * rows_,
                      [&](size_t item) { visit(static_cast<int>(item / rows_), static_cast<int>(item % rows_)); });
  }

  cpu::Device& device_;
  TensorDesc x_, y_;
  Write dx_ = Write::none;
  size_t rows_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> Maxpool::compile_depth_cpu(cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<MaxpoolDepthCpu>(device, args);
}

}  // namespace dn
