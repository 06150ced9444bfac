// See nn/antialias.h. An item is one channel block of one image, forward and backward: it owns the gradient cells it adds to, and the order of additions
// never changes.
#include "nn/antialias.h"

#include <algorithm>
#include <array>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "nn/chain.h"

namespace dn {
namespace {

constexpr size_t kMaxBlock = 16;

class BlurKernel : public Kernel {
 public:
  BlurKernel(const Antialias& blur, cpu::Device& device, const KernelArgs& args)
      : blur_(blur), device_(device), x_(args.x[0]), y_(args.y), dx_(args.dx[0]), block_(static_cast<size_t>(args.y.block)) {
    ensure(x_.block == y_.block && block_ <= kMaxBlock && dx_ != Write::accumulate, "a blur goes from a blocked tensor to another");
  }
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    each_item([&](size_t image, size_t block) {
      const float* x = from(io.x[0], image, block);
      float* y = from(io.y, image, block);
      each_pixel([&](size_t pixel, int top, int left) {
        std::array<float, kMaxBlock> sum{};
        each_cell(top, left, [&](size_t cell, float weight) {
          for (size_t l = 0; l < block_; ++l) sum[l] += weight * x[cell * block_ + l];
        });
        for (size_t l = 0; l < block_; ++l) y[pixel * block_ + l] = sum[l];
      });
    });
  }

  void backward(const Io& io, const Pass&) override {
    if (dx_ == Write::none) return;
    each_item([&](size_t image, size_t block) {
      const float* dy = from(io.dy, image, block);
      float* dx = from(io.dx[0], image, block);
      std::fill_n(dx, x_.block_stride(), 0.f);
      each_pixel([&](size_t pixel, int top, int left) {
        each_cell(top, left, [&](size_t cell, float weight) {
          for (size_t l = 0; l < block_; ++l) dx[cell * block_ + l] += weight * dy[pixel * block_ + l];
        });
      });
    });
  }

 private:
  static float* from(const Tensor& t, size_t image, size_t block) { return t.data + image * t.desc.image_stride() + block * t.desc.block_stride(); }

  template <class Visit>
  void each_item(const Visit& visit) const {
    const size_t blocks = static_cast<size_t>(y_.channel_blocks());
    cpu::parallel_for(device_.threads(), static_cast<size_t>(y_.shape.n) * blocks, [&](size_t item) { visit(item / blocks, item % blocks); });
  }
  // visit(pixel of the output, first row and column of its window)
  template <class Visit>
  void each_pixel(const Visit& visit) const {
    size_t pixel = 0;
    for (int i = 0; i < y_.shape.h; ++i)
      for (int j = 0; j < y_.shape.w; ++j, ++pixel) visit(pixel, i * blur_.stride_y - blur_.padding(), j * blur_.stride_x - blur_.padding());
  }
  // visit(pixel of the input, its weight) of a window
  template <class Visit>
  void each_cell(int top, int left, const Visit& visit) const {
    for (int a = std::max(0, -top); a < std::min(blur_.size(), x_.shape.h - top); ++a)
      for (int b = std::max(0, -left); b < std::min(blur_.size(), x_.shape.w - left); ++b)
        visit(static_cast<size_t>(top + a) * static_cast<size_t>(x_.shape.w) + static_cast<size_t>(left + b), blur_.weight(a, b));
  }

  Antialias blur_;
  cpu::Device& device_;
  TensorDesc x_, y_;
  Write dx_;
  size_t block_;
};

}  // namespace

Antialias Antialias::take(int kind, int& stride_x, int& stride_y) {
  if (kind == 0) return {};
  const Antialias blur{kind, stride_x, stride_y};
  stride_x = stride_y = 1;
  return blur;
}

Shape Antialias::output_shape(const Section& section, const Shape& host) const {
  if (kind == 0) return host;
  const int h = host.h + 2 * padding() - size(), w = host.w + 2 * padding() - size();
  if (h < 0 || w < 0)
    fail(section.where(), " antialiasing = ", kind, ": the blur of ", size(), " x ", size(), " is larger than the ", host.w, " x ", host.h,
         " that it would smooth; expected at least 2 x 2");
  return {host.n, host.c, h / stride_y + 1, w / stride_x + 1};
}

std::string Antialias::text() const {
  if (kind == 0) return {};
  return concat("  blur ", size(), "x", size(), "/", stride_x, stride_x == stride_y ? "" : concat("x", stride_y));
}

std::unique_ptr<Kernel> antialiased(const Antialias& blur, cpu::Device& device, const KernelArgs& args, const Shape& host,
                                    const std::function<std::unique_ptr<Kernel>(const KernelArgs&)>& compile) {
  if (!blur) return compile(args);
  const ChainArgs links = chain_args(args, {host, args.y.block}, true);
  return chain(compile(links.first), std::make_unique<BlurKernel>(blur, device, links.second), links);
}

}  // namespace dn
