// [route] on the CPU: copies between channel-blocked tensors.
//
// When the kernel is built, every channel block of the target gets its list of runs: lanes that are neighbours in the source and in the target.
// A block that is one whole block of one source is a plain copy (channel counts that are multiples of the block give nothing else); the others
// move lane by lane. The same lists, turned around, serve backward; a source's block outside the slice has no runs and its gradient becomes zero.
#include <algorithm>
#include <cstring>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/route/route.h"
#include "nn/elementwise.h"

namespace dn {
namespace {

// `count` lanes from block `block`, lane `lane` of tensor `tensor` to lane `to_lane` of the block that owns the run.
struct Run {
  size_t tensor;
  int block, lane, to_lane, count;
};
using Runs = std::vector<Run>;  // of one target block, in lane order

// Lists for `count` channels from channel `from` of tensor `tensor` to channel `to` of the blocks of a target.
void add_runs(size_t tensor, const TensorDesc& source, int from, const TensorDesc& target, int to, int count, std::vector<Runs>& blocks) {
  const int last = from + count;
  while (from < last) {
    const int lane = from % source.block, to_lane = to % target.block;
    const int step = std::min({last - from, source.block - lane, target.block - to_lane});
    blocks[static_cast<size_t>(to / target.block)].push_back({tensor, from / source.block, lane, to_lane, step});
    from += step;
    to += step;
  }
}

bool copies_whole_block(const Runs& runs, std::span<const Tensor> sources, const TensorDesc& target, int target_block) {
  if (runs.size() != 1 || runs[0].lane != 0 || runs[0].to_lane != 0) return false;
  const TensorDesc& source = sources[runs[0].tensor].desc;
  if (source.block != target.block) return false;
  // A shorter run is a whole block when what follows is padding, zero on both sides.
  return runs[0].count == std::min(source.block, source.shape.c - runs[0].block * source.block) &&
         runs[0].count == std::min(target.block, target.shape.c - target_block * target.block);
}

// `count` neighbouring lanes of every pixel of a plane.
void move_lanes(const float* from, int from_block, float* to, int to_block, size_t pixels, int count, bool add) {
  for (size_t p = 0; p < pixels; ++p, from += from_block, to += to_block)
    for (int l = 0; l < count; ++l) to[l] = add ? to[l] + from[l] : from[l];
}

class RouteCpu : public Kernel {
 public:
  RouteCpu(const Route& layer, cpu::Device& device, const KernelArgs& args) : device_(device), args_(args) {
    forward_.resize(static_cast<size_t>(args.y.channel_blocks()));
    int channel = 0;
    for (size_t s = 0; s < args.x.size(); ++s) {
      const TensorDesc& x = args.x[s];
      const int part = x.shape.c / layer.spec().groups, first = layer.spec().group_id * part;
      add_runs(s, x, first, args.y, channel, part, forward_);
      backward_.emplace_back(static_cast<size_t>(x.channel_blocks()));
      add_runs(0, args.y, channel, x, first, part, backward_.back());
      channel += part;
    }
  }
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    move(io.x, io.y, forward_, false);   // leaves out what the plan had written in place
  }

  // Sources in order: the same layer may be listed twice, and its second slice then adds to the first.
  void backward(const Io& io, const Pass&) override {
    for (size_t s = 0; s < args_.dx.size(); ++s)
      if (args_.dx[s] != Write::none)
        move({&io.dy, 1}, io.dx[s], backward_[s], args_.dx[s] == Write::accumulate);
  }

 private:
  void move(std::span<const Tensor> sources, const Tensor& to, const std::vector<Runs>& blocks, bool add) {
    const TensorDesc& target = to.desc;
    const size_t plane = target.shape.plane();
    cpu::parallel_for(device_.threads(), static_cast<size_t>(target.shape.n) * blocks.size(), [&](size_t item) {
      const size_t n = item / blocks.size(), block = item % blocks.size();
      const Runs& runs = blocks[block];
      float* out = to.data + n * target.image_stride() + block * target.block_stride();
      const auto source = [&](const Run& run) {
        const TensorDesc& desc = sources[run.tensor].desc;
        return sources[run.tensor].data + n * desc.image_stride() + static_cast<size_t>(run.block) * desc.block_stride() + run.lane;
      };
      if (copies_whole_block(runs, sources, target, static_cast<int>(block))) {
        if (source(runs[0]) == out) return;   // already there
        if (add)
          add_to(1, out, source(runs[0]), target.block_stride());
        else
          std::memcpy(out, source(runs[0]), target.block_stride() * sizeof(float));
        return;
      }
      if (!add) std::fill_n(out, target.block_stride(), 0.f);
      for (const Run& run : runs) move_lanes(source(run), sources[run.tensor].desc.block, out + run.to_lane, target.block, plane, run.count, add);
    });
  }

  cpu::Device& device_;
  KernelArgs args_;
  std::vector<Runs> forward_;                // per channel block of y: tensor = source
  std::vector<std::vector<Runs>> backward_;  // per source, per its channel block: tensor = 0, y
};

}  // namespace

std::unique_ptr<Kernel> Route::compile_cpu(const Route& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<RouteCpu>(layer, device, args);
}

}  // namespace dn
