// [reorg], [reorg3d] on a GPU: every element of the target fetches its value, in both directions. Squares of pixels move eight channels at a time where
// the larger map's channels fill whole groups of eight; else, and for the flat permutation, a thread moves one element. Formulas: reorg.h.
#include "device/cuda/launch.h"
#include "layers/reorg/reorg.h"
#include "nn/cuda/cells.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Cell;
using cuda::Eight;
using cuda::kEight;
using cuda::View;

struct Element {
  int channel, y, x;
};

// Where wide[c, y, x] lies in deep, and the other way round; c counts `channels` of wide.
struct Squares {
  int stride, channels;
  DN_HD Element in_deep(const Element& wide) const {
    const int o = wide.y % stride * stride + wide.x % stride;
    return {o * channels + wide.channel, wide.y / stride, wide.x / stride};
  }
  DN_HD Element in_wide(const Element& deep) const {
    const int o = deep.channel / channels;
    return {deep.channel % channels, deep.y * stride + o / stride, deep.x * stride + o % stride};
  }
};

// An image's flat memory [.., h, w] of any number of channels.
struct Flat {
  int h, w;
  DN_HD size_t at(const Element& e) const {
    return (static_cast<size_t>(e.channel) * static_cast<size_t>(h) + static_cast<size_t>(e.y)) * static_cast<size_t>(w) + static_cast<size_t>(e.x);
  }
  DN_HD Element element(size_t at) const {
    const cuda::Division row = cuda::divide(at, w), channel = cuda::divide(row.whole, h);
    return {static_cast<int>(channel.whole), channel.rest, row.rest};
  }
};

// The source of an element of the target.
struct Permutation {
  Squares squares;
  bool flat;       // YOLOv2's: x and y are other shapes of the memory of wide and deep
  bool from_wide;  // the target is deep, or has its memory
  Flat from, to, wide, deep;
  DN_HD Element source(const Element& target) const {
    if (!flat) return from_wide ? squares.in_wide(target) : squares.in_deep(target);
    const size_t at = to.at(target);
    return from.element(from_wide ? wide.at(squares.in_wide(deep.element(at))) : deep.at(squares.in_deep(wide.element(at))));
  }
};

struct ReorgEights {
  View from, to;
  Permutation permutation;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(to, i);
    const Cell cell = cuda::cell_of(to, pixel);
    const Element e = permutation.source({channel, cell.y, cell.x});
    cuda::put_eight(to, to.at(pixel, channel), from.get_eight(from.at(cell.n, e.y, e.x, e.channel)), add);
  }
};

struct ReorgLanes {
  View from, to;
  Permutation permutation;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::divide(i, to.padded);
    const size_t at = to.at(pixel, channel);
    if (channel >= to.c) return to.set(at, 0.f);
    const Cell cell = cuda::cell_of(to, pixel);
    const Element e = permutation.source({channel, cell.y, cell.x});
    const float value = from.get(from.at(cell.n, e.y, e.x, e.channel));
    to.set(at, add ? to.get(at) + value : value);
  }
};

class ReorgCuda : public Kernel {
 public:
  ReorgCuda(const Reorg& layer, cuda::Device& device, const KernelArgs& args) : device_(device), layer_(layer), args_(args) {}
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override { run(io.x[0], io.y, !layer_.spec().reverse, false); }
  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] != Write::none) run(io.dy, io.dx[0], layer_.spec().reverse, args_.dx[0] == Write::accumulate);
  }

 private:
  void run(const Tensor& source, const Tensor& target, bool from_wide, bool add) const {
    const View from = cuda::view(source), to = cuda::view(target);
    const Shape x = args_.x[0].shape, y = args_.y.shape;
    const int s = layer_.spec().stride, channels = (layer_.spec().reverse ? y.c : layer_.flat() ? x.c / (s * s) : x.c);
    const Permutation permutation{{s, channels}, layer_.flat(), from_wide, {from.h, from.w}, {to.h, to.w}, {x.h * s, x.w * s}, {x.h, x.w}};
    if (!layer_.flat() && channels % kEight == 0)
      cuda::for_each(device_.stream(), to.eights(), ReorgEights{from, to, permutation, add});
    else
      cuda::for_each(device_.stream(), to.pixels() * static_cast<size_t>(to.padded), ReorgLanes{from, to, permutation, add});
  }

  cuda::Device& device_;
  const Reorg& layer_;
  KernelArgs args_;
};

}  // namespace

std::unique_ptr<Kernel> Reorg::compile_cuda(const Reorg& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<ReorgCuda>(layer, device, args);
}

}  // namespace dn
