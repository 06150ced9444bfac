// [local_avgpool] on a GPU: a thread makes eight channels of a pixel. In backward every cell of x adds up its windows in row order.
#include "device/cuda/launch.h"
#include "layers/local_avgpool/local_avgpool.h"
#include "nn/cuda/cells.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Cell;
using cuda::Eight;
using cuda::kEight;
using cuda::Span;
using cuda::View;

struct Windows {
  int size, stride_y, stride_x, offset;
  DN_HD Span rows(int window, const View& x) const { return cuda::cells_of_window(window * stride_y - offset, size, x.h); }
  DN_HD Span columns(int window, const View& x) const { return cuda::cells_of_window(window * stride_x - offset, size, x.w); }
};

DN_HD float share(const Span& rows, const Span& columns) {
  return 1.f / static_cast<float>((rows.last - rows.first) * (columns.last - columns.first));
}

DN_HD void add_scaled(Eight& sum, const Eight& value, float factor) {
  for (int k = 0; k < kEight; ++k) sum.v[k] += value.v[k] * factor;
}

struct MeanBody {
  View x, y;
  Windows windows;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    const Cell cell = cuda::cell_of(y, pixel);
    const Span rows = windows.rows(cell.y, x), columns = windows.columns(cell.x, x);
    Eight sum{};
    for (int row = rows.first; row < rows.last; ++row)
      for (int column = columns.first; column < columns.last; ++column) add_scaled(sum, x.get_eight(x.at(cell.n, row, column, channel)), 1.f);
    for (int k = 0; k < kEight; ++k) sum.v[k] *= share(rows, columns);
    y.set_eight(y.at(pixel, channel), sum);
  }
};

struct MeanBackwardBody {
  View dy, dx;
  Windows windows;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dx, i);
    const Cell cell = cuda::cell_of(dx, pixel);
    const Span a = cuda::windows_of_cell(cell.y, windows.size, windows.stride_y, windows.offset, dy.h);
    const Span b = cuda::windows_of_cell(cell.x, windows.size, windows.stride_x, windows.offset, dy.w);
    Eight sum{};
    for (int row = a.first; row < a.last; ++row)
      for (int column = b.first; column < b.last; ++column)
        add_scaled(sum, dy.get_eight(dy.at(cell.n, row, column, channel)), share(windows.rows(row, dx), windows.columns(column, dx)));
    cuda::put_eight(dx, dx.at(pixel, channel), sum, add);
  }
};

class LocalAvgpoolCuda : public Kernel {
 public:
  LocalAvgpoolCuda(const LocalAvgpool& layer, cuda::Device& device, const KernelArgs& args)
      : device_(device), windows_{layer.window().size, layer.window().stride_y, layer.window().stride_x, layer.window().offset()}, args_(args) {}
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    const View y = cuda::view(io.y);
    cuda::for_each(device_.stream(), y.eights(), MeanBody{cuda::view(io.x[0]), y, windows_});
  }
  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] == Write::none) return;
    const View dx = cuda::view(io.dx[0]);
    cuda::for_each(device_.stream(), dx.eights(), MeanBackwardBody{cuda::view(io.dy), dx, windows_, args_.dx[0] == Write::accumulate});
  }

 private:
  cuda::Device& device_;
  Windows windows_;
  KernelArgs args_;
};

}  // namespace

std::unique_ptr<Kernel> LocalAvgpool::compile_cuda(const LocalAvgpool& layer, cuda::Device& device, const KernelArgs& args) {
  if (layer.antialias()) return nullptr;
  return std::make_unique<LocalAvgpoolCuda>(layer, device, args);
}

}  // namespace dn
