#include "layers/convolutional/excitation.h"

#include <algorithm>
#include <cmath>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"

namespace dn {
namespace {

class ExcitationKernel : public Kernel {
 public:
  ExcitationKernel(int key, cpu::Device& device, const KernelArgs& args) : key_(key), device_(device), y_(args.y), dx_(args.dx[0]) {
    ensure(args.x[0].shape == y_.shape && args.x[0].block == y_.block && dx_ != Write::accumulate, "a tensor becomes one of its shape");
  }
  Needs needs() const override { return {}; }

  // The map is its own transpose.
  void forward(const Io& io, const Pass& pass) override { raise(io.x[0], io.y, pass); }
  void backward(const Io& io, const Pass& pass) override {
    if (dx_ != Write::none) raise(io.dy, io.dx[0], pass);
  }

 private:
  void raise(const Tensor& from, const Tensor& to, const Pass& pass) const {
    const double share = excitation(key_, pass) / y_.shape.c;
    ensure(pass.truth.empty() || pass.truth.size() == static_cast<size_t>(y_.shape.n), "truths for every image of the mini-batch");
    const size_t blocks = static_cast<size_t>(y_.channel_blocks()), plane = y_.shape.plane(), block = static_cast<size_t>(y_.block);
    cpu::parallel_for(device_.threads(), static_cast<size_t>(y_.shape.n), [&](size_t n) {
      const float* x = from.data + n * from.desc.image_stride();
      float* y = to.data + n * to.desc.image_stride();
      std::copy_n(x, blocks * block * plane, y);
      if (share == 0 || pass.truth.empty()) return;
      const std::vector<unsigned char> inside = box_pixels(pass.truth[n], y_.shape.h, y_.shape.w);
      for (size_t p = 0; p < plane; ++p)
        if (inside[p]) raise_pixel(x + p * block, y + p * block, share);
    });
  }

  void raise_pixel(const float* x, float* y, double share) const {
    const ptrdiff_t step = static_cast<ptrdiff_t>(y_.block_stride());
    double sum = 0;
    for (int c = 0; c < y_.shape.c; ++c) sum += x[c / y_.block * step + c % y_.block];
    for (int c = 0; c < y_.shape.c; ++c) y[c / y_.block * step + c % y_.block] += static_cast<float>(share * sum);
  }

  int key_;
  cpu::Device& device_;
  TensorDesc y_;
  Write dx_;
};

}  // namespace

double excitation(int key, const Pass& pass) {
  if (pass.truth.empty() || pass.stage == Pass::Stage::estimate) return 0;
  const double t = key == 1 ? pass.progress : static_cast<double>(pass.iteration) / key;
  return t < 1 ? (1 + std::cos(3.14159265358979323846 * t)) / 2 : 0;
}

std::vector<unsigned char> box_pixels(std::span<const TruthBox> truths, int h, int w) {
  std::vector<unsigned char> inside(static_cast<size_t>(h) * static_cast<size_t>(w), 0);
  const auto edge = [](double at, int size) { return static_cast<int>(std::clamp(at, 0.0, static_cast<double>(size))); };
  for (const TruthBox& truth : truths) {
    const double x = truth.box.x, y = truth.box.y, half_w = truth.box.w / 2.0, half_h = truth.box.h / 2.0;
    const int left = edge(std::floor((x - half_w) * w), w), right = edge(std::ceil((x + half_w) * w), w);
    const int top = edge(std::floor((y - half_h) * h), h), bottom = edge(std::ceil((y + half_h) * h), h);
    for (int row = top; row < bottom; ++row)
      for (int column = left; column < right; ++column) inside[static_cast<size_t>(row) * static_cast<size_t>(w) + static_cast<size_t>(column)] = 1;
  }
  return inside;
}

std::unique_ptr<Kernel> compile_excitation(int key, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ExcitationKernel>(key, device, args);
}

}  // namespace dn
