// [maxpool] on a GPU: a thread makes eight channels of a pixel. Two ways, chosen once per kernel:
//   direct     sides up to 3: every window on its own. Backward keeps the winner's place in the window, a byte a value, and every cell of x asks the
//              windows that contain it.
//   separable  larger ones: first the maxima of rows, then of columns, so 2 * size instead of size^2 comparisons. Backward keeps who won in each of the
//              two, a byte a value (the winner is the first in row order, as it is the first cell of the first row that holds the maximum), and gathers in
//              two steps as well: which cell of a row wins does not depend on how the windows lie vertically.
// Every cell adds in row order: no races, and the same bits every time.
#include "device/cuda/launch.h"
#include "layers/maxpool/maxpool.h"
#include "nn/cuda/cells.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Cell;
using cuda::Eight;
using cuda::kEight;
using cuda::Span;
using cuda::View;

constexpr int kLargestDirect = 3;

// Places of eight channels, as they lie in memory.
struct alignas(8) Places {
  uint8_t v[kEight];
};

// Windows along one axis.
struct Axis {
  int size, stride, offset;
  DN_HD int start(int window) const { return window * stride - offset; }
};

// The larger value of each lane, and its place; the earlier one where they are equal.
struct Best {
  Eight value;
  Places place;
  DN_HD void begin(const Eight& first, int at) {
    value = first;
    for (int k = 0; k < kEight; ++k) place.v[k] = static_cast<uint8_t>(at);
  }
  DN_HD void meet(const Eight& other, int at) {
    for (int k = 0; k < kEight; ++k)
      if (other.v[k] > value.v[k]) value.v[k] = other.v[k], place.v[k] = static_cast<uint8_t>(at);
  }
};

// Adds `from` where the place is `at`.
DN_HD void add_winners(Eight& sum, const Places& places, int at, const View& from, size_t offset) {
  bool any = false;
  for (int k = 0; k < kEight; ++k) any |= places.v[k] == at;
  if (!any) return;  // most often, with large windows
  const Eight values = from.get_eight(offset);
  for (int k = 0; k < kEight; ++k) sum.v[k] += places.v[k] == at ? values.v[k] : 0.f;
}

// place, here and below: of item i, in the order of the items; null: nobody asks.
struct DirectBody {
  View x, y;
  Axis rows, columns;
  Places* place;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    const Cell cell = cuda::cell_of(y, pixel);
    const int top = rows.start(cell.y), left = columns.start(cell.x);
    const Span a = cuda::cells_of_window(top, rows.size, x.h), b = cuda::cells_of_window(left, columns.size, x.w);
    Best best;
    best.begin(x.get_eight(x.at(cell.n, a.first, b.first, channel)), (a.first - top) * columns.size + b.first - left);
    for (int row = a.first; row < a.last; ++row)
      for (int column = b.first; column < b.last; ++column)
        best.meet(x.get_eight(x.at(cell.n, row, column, channel)), (row - top) * columns.size + column - left);
    y.set_eight(y.at(pixel, channel), best.value);
    if (place) place[i] = best.place;
  }
};

struct DirectBackwardBody {
  View dy, dx;
  Axis rows, columns;
  const Places* place;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dx, i);
    const Cell cell = cuda::cell_of(dx, pixel);
    const Span a = cuda::windows_of_cell(cell.y, rows.size, rows.stride, rows.offset, dy.h);
    const Span b = cuda::windows_of_cell(cell.x, columns.size, columns.stride, columns.offset, dy.w);
    Eight sum{};
    for (int row = a.first; row < a.last; ++row)
      for (int column = b.first; column < b.last; ++column) {
        const size_t at = dy.at(cell.n, row, column, channel),
                     window = (static_cast<size_t>(cell.n) * static_cast<size_t>(dy.h) + static_cast<size_t>(row)) * static_cast<size_t>(dy.w) +
                              static_cast<size_t>(column);
        const Places places = place[window * static_cast<size_t>(dy.groups()) + static_cast<size_t>(channel / kEight)];
        add_winners(sum, places, (cell.y - rows.start(row)) * columns.size + cell.x - columns.start(column), dy, at);
      }
    cuda::put_eight(dx, dx.at(pixel, channel), sum, add);
  }
};

// Windows along one axis only: to's cells lie as from's do along the other.
struct LineBody {
  View from, to;
  Axis axis;
  bool vertical;
  Places* place;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(to, i);
    const Cell cell = cuda::cell_of(to, pixel);
    const int start = axis.start(vertical ? cell.y : cell.x);
    const Span cells = cuda::cells_of_window(start, axis.size, vertical ? from.h : from.w);
    const size_t step = vertical ? static_cast<size_t>(from.w) * from.pixel_stride : from.pixel_stride;
    size_t at = vertical ? from.at(cell.n, cells.first, cell.x, channel) : from.at(cell.n, cell.y, cells.first, channel);
    Best best;
    best.begin(from.get_eight(at), cells.first - start);
    for (int k = cells.first + 1; k < cells.last; ++k) best.meet(from.get_eight(at += step), k - start);
    to.set_eight(to.at(pixel, channel), best.value);
    if (place) place[i] = best.place;
  }
};

// The gradient of LineBody; place: in the order of from's eights.
struct LineBackwardBody {
  View from, to;
  Axis axis;
  bool vertical;
  const Places* place;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(to, i);
    const Cell cell = cuda::cell_of(to, pixel);
    const int mine = vertical ? cell.y : cell.x;
    const Span windows = cuda::windows_of_cell(mine, axis.size, axis.stride, axis.offset, vertical ? from.h : from.w);
    const size_t height = static_cast<size_t>(from.h), width = static_cast<size_t>(from.w), groups = static_cast<size_t>(from.groups());
    const size_t first = static_cast<size_t>(windows.first), step = vertical ? width : 1;
    size_t window = vertical ? (static_cast<size_t>(cell.n) * height + first) * width + static_cast<size_t>(cell.x)
                             : (static_cast<size_t>(cell.n) * height + static_cast<size_t>(cell.y)) * width + first;
    Eight sum{};
    for (int k = windows.first; k < windows.last; ++k, window += step)
      add_winners(sum, place[window * groups + static_cast<size_t>(channel / kEight)], mine - axis.start(k), from, from.at(window, channel));
    cuda::put_eight(to, to.at(pixel, channel), sum, add);
  }
};

class MaxpoolCuda : public Kernel {
 public:
  MaxpoolCuda(const Maxpool& layer, cuda::Device& device, const KernelArgs& args)
      : device_(device),
        rows_{layer.spec().size, layer.spec().stride_y, layer.spec().offset()},
        columns_{layer.spec().size, layer.spec().stride_x, layer.spec().offset()},
        dx_(args.backward && !args.dx.empty() ? args.dx[0] : Write::none),
        direct_(layer.spec().size <= kLargestDirect),
        y_(args.y.dense()),
        between_(args.x[0].dense()) {
    between_.shape.w = y_.shape.w;
  }

  Needs needs() const override {
    Needs needs;
    if (dx_ != Write::none) needs.saved = direct_ ? std::vector<size_t>{y_.count()} : std::vector<size_t>{y_.count(), between_.count()};
    if (direct_) return needs;
    needs.forward_scratch = between_.bytes();
    if (dx_ != Write::none) needs.backward_scratch = between_gradient().bytes();
    return needs;
  }

  void forward(const Io& io, const Pass&) override {
    const View x = cuda::view(io.x[0]), y = cuda::view(io.y);
    if (direct_) return cuda::for_each(device_.stream(), y.eights(), DirectBody{x, y, rows_, columns_, places(io, 0)});
    const View between = cuda::view({between_, reinterpret_cast<float*>(io.scratch)});
    cuda::for_each(device_.stream(), between.eights(), LineBody{x, between, columns_, false, places(io, 1)});
    cuda::for_each(device_.stream(), y.eights(), LineBody{between, y, rows_, true, places(io, 0)});
  }

  void backward(const Io& io, const Pass&) override {
    if (dx_ == Write::none) return;
    const View dy = cuda::view(io.dy), dx = cuda::view(io.dx[0]);
    const bool add = dx_ == Write::accumulate;
    if (direct_) return cuda::for_each(device_.stream(), dx.eights(), DirectBackwardBody{dy, dx, rows_, columns_, places(io, 0), add});
    const View between = cuda::view({between_gradient(), reinterpret_cast<float*>(io.scratch)});
    cuda::for_each(device_.stream(), between.eights(), LineBackwardBody{dy, between, rows_, true, places(io, 0), false});
    cuda::for_each(device_.stream(), dx.eights(), LineBackwardBody{between, dx, columns_, false, places(io, 1), add});
  }

 private:
  Places* places(const Io& io, size_t which) const { return dx_ == Write::none ? nullptr : reinterpret_cast<Places*>(io.saved[which]); }
  TensorDesc between_gradient() const {  // sums
    TensorDesc wide = between_;
    wide.dtype = DType::f32;
    return wide;
  }

  cuda::Device& device_;
  Axis rows_, columns_;
  Write dx_;
  bool direct_;
  TensorDesc y_, between_;  // between: rows done, columns to come
};

}  // namespace

std::unique_ptr<Kernel> Maxpool::compile_cuda(const Maxpool& layer, cuda::Device& device, const KernelArgs& args) {
  if (layer.antialias()) return nullptr;
  if (layer.spec().maxpool_depth) return compile_depth_cuda(device, args);
  return std::make_unique<MaxpoolCuda>(layer, device, args);
}

}  // namespace dn
