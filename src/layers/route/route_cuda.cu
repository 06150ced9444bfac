// [route] on a GPU: a run of channels of one tensor becomes a run of channels of another, eight at a time where both runs begin at a multiple of eight,
// else one by one. A source that lies in y already is left out.
#include "device/cuda/launch.h"
#include "layers/route/route.h"
#include "nn/cuda/cells.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

// Channels [first, last) of `to`. Those of [to_channel, to_channel + count) come from `from`, from_channel on; the others become zero.
struct Move {
  View from, to;
  int from_channel, to_channel, count;
  int first, last;
  bool add;
  DN_HD int width() const { return last - first; }
  DN_HD bool taken(int channel) const { return channel >= to_channel && channel < to_channel + count; }
  DN_HD int source(int channel) const { return channel - to_channel + from_channel; }
  bool by_eights() const { return from_channel % kEight == 0 && to_channel % kEight == 0 && first % kEight == 0 && last % kEight == 0; }
};

struct MoveEights {
  Move m;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, offset] = cuda::eight_place(i, m.width() / kEight);
    const int channel = m.first + offset;
    Eight value{};
    if (m.taken(channel)) {
      value = m.from.get_eight(m.from.at(pixel, m.source(channel)));
      cuda::clear_padding(value, channel, m.to_channel + m.count);
    }
    cuda::put_eight(m.to, m.to.at(pixel, channel), value, m.add);
  }
};

struct MoveLanes {
  Move m;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, offset] = cuda::divide(i, m.width());
    const int channel = m.first + offset;
    const float value = m.taken(channel) ? m.from.get(m.from.at(pixel, m.source(channel))) : 0.f;
    const size_t at = m.to.at(pixel, channel);
    m.to.set(at, m.add ? m.to.get(at) + value : value);
  }
};

class RouteCuda : public Kernel {
 public:
  RouteCuda(const Route& layer, cuda::Device& device, const KernelArgs& args) : device_(device), args_(args) {
    int channel = 0;
    for (const TensorDesc& x : args.x) {
      const int count = x.shape.c / layer.spec().groups;
      parts_.push_back({layer.spec().group_id * count, channel, count});
      channel += count;
    }
  }
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    const View y = cuda::view(io.y);
    for (size_t s = 0; s < parts_.size(); ++s) {
      const Part& p = parts_[s];
      const View x = cuda::view(io.x[s]);
      if (in_place(x, y, p)) continue;
      run({x, y, p.in_source, p.in_y, p.count, p.in_y, s + 1 < parts_.size() ? p.in_y + p.count : y.padded, false});
    }
  }

  // Sources in order: the same layer may be listed twice, and its second slice then adds to the first.
  void backward(const Io& io, const Pass&) override {
    const View dy = cuda::view(io.dy);
    for (size_t s = 0; s < parts_.size(); ++s) {
      if (args_.dx[s] == Write::none) continue;
      const Part& p = parts_[s];
      const View dx = cuda::view(io.dx[s]);
      const bool add = args_.dx[s] == Write::accumulate, whole = !add || p.in_source + p.count == dx.c;
      run({dy, dx, p.in_y, p.in_source, p.count, add ? p.in_source : 0, whole ? dx.padded : p.in_source + p.count, add});
    }
  }

 private:
  struct Part {
    int in_source, in_y, count;  // first channels, and how many
  };

  static bool in_place(const View& x, const View& y, const Part& p) {
    const auto address = [](const View& v, int channel) {
      return static_cast<const std::byte*>(v.data) + static_cast<size_t>(channel) * bytes_of(v.dtype);
    };
    return address(x, p.in_source) == address(y, p.in_y);
  }

  void run(const Move& move) const {
    const size_t values = move.to.pixels() * static_cast<size_t>(move.width());
    if (move.by_eights())
      cuda::for_each(device_.stream(), values / kEight, MoveEights{move});
    else
      cuda::for_each(device_.stream(), values, MoveLanes{move});
  }

  cuda::Device& device_;
  KernelArgs args_;
  std::vector<Part> parts_;  // per source
};

}  // namespace

std::unique_ptr<Kernel> Route::compile_cuda(const Route& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<RouteCuda>(layer, device, args);
}

}  // namespace dn
