// [reorg], [reorg3d] on the CPU. Every element of the smaller map has one place in the larger one, so both directions of every form are one of
//   gather   small[k,j,i] = large[row_in_large(k,j) + i s]        scatter   the other way round
// and no two threads ever write the same element.
#include <algorithm>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/reorg/reorg.h"
#include "nn/normalize.h"

namespace dn {
namespace {

class ReorgCpu : public Kernel {
 public:
  ReorgCpu(const Reorg& layer, cpu::Device& device, const KernelArgs& args)
      : device_(device), dx_(args.dx), stride_(static_cast<size_t>(layer.spec().stride)), reverse_(layer.spec().reverse) {
    ensure(args.x[0].block == args.y.block, "reorg needs equally blocked tensors");
    const TensorDesc& large = reverse_ ? args.y : args.x[0];
    const Shape& small = (reverse_ ? args.x[0] : args.y).shape;
    rows_.reserve(static_cast<size_t>(small.c) * static_cast<size_t>(small.h));
    for (int k = 0; k < small.c; ++k)
      for (int j = 0; j < small.h; ++j) {
        const Reorg::Row row = layer.row_in_large(large.shape, k, j);
        rows_.push_back(large.offset(0, row.channel, row.row, row.column));
      }
  }
  Needs needs() const override { return {.kept = rows_.size() * sizeof(size_t)}; }

  void forward(const Io& io, const Pass&) override { move(io.x[0], io.y, reverse_, false); }
  void backward(const Io& io, const Pass&) override {
    if (!dx_.empty() && dx_[0] != Write::none) move(io.dy, io.dx[0], !reverse_, dx_[0] == Write::accumulate);
  }

 private:
  void move(const Tensor& from, const Tensor& to, bool scatter, bool add) {
    if (!add) clear_padding(device_.threads(), to);
    const TensorDesc small = scatter ? from.desc : to.desc, large = scatter ? to.desc : from.desc;
    const size_t block = static_cast<size_t>(small.block), height = static_cast<size_t>(small.shape.h), width = static_cast<size_t>(small.shape.w);
    const size_t blocks = static_cast<size_t>(small.channel_blocks());
    const size_t from_step = scatter ? block : stride_ * block, to_step = scatter ? stride_ * block : block;
    cpu::parallel_for(device_.threads(), static_cast<size_t>(small.shape.n) * blocks * height, [&](size_t item) {
      const size_t n = item / height / blocks, first = item / height % blocks * block, j = item % height;
      const size_t last = std::min(first + block, static_cast<size_t>(small.shape.c));
      for (size_t k = first; k < last; ++k) {
        const size_t in_small = small.offset(static_cast<int>(n), static_cast<int>(k), static_cast<int>(j), 0);
        const size_t in_large = n * large.image_stride() + rows_[k * height + j];
        const float* source = from.data + (scatter ? in_small : in_large);
        float* target = to.data + (scatter ? in_large : in_small);
        for (size_t i = 0; i < width; ++i) target[i * to_step] = source[i * from_step] + (add ? target[i * to_step] : 0.f);
      }
    });
  }

  cpu::Device& device_;
  std::vector<Write> dx_;
  size_t stride_;
  bool reverse_;
  std::vector<size_t> rows_;  // [channel][row] of the smaller map: floats from the image's start in the larger one
};

}  // namespace

std::unique_ptr<Kernel> Reorg::compile_cpu(const Reorg& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ReorgCpu>(layer, device, args);
}

}  // namespace dn
