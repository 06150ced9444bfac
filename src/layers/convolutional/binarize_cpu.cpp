#include "layers/convolutional/binarize.h"

#include <cmath>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "nn/normalize.h"

namespace dn {
namespace {

class BinarizeKernel : public Kernel {
 public:
  BinarizeKernel(cpu::Device& device, const KernelArgs& args) : device_(device), desc_(args.x[0]), dx_(args.dx.empty() ? Write::none : args.dx[0]) {
    ensure(desc_ == args.y, "signs lie as the values do");
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = dx_ != Write::none;
    return n;
  }

  void forward(const Io& io, const Pass&) override {
    const float* const x = io.x[0].data;
    float* const y = io.y.data;
    cpu::parallel_pieces(device_.threads(), desc_.count(), kGrain, [=](size_t first, size_t last) {
      for (size_t i = first; i < last; ++i) y[i] = x[i] > 0 ? 1.0f : -1.0f;
    });
    clear_padding(device_.threads(), io.y);
  }

  // The gradient may lie in a wider tensor.
  void backward(const Io& io, const Pass&) override {
    if (dx_ == Write::none) return;
    const size_t each = desc_.count() / static_cast<size_t>(desc_.shape.n);
    const bool add = dx_ == Write::accumulate;
    for (size_t n = 0; n < static_cast<size_t>(desc_.shape.n); ++n) {
      const float *x = io.x[0].data + n * desc_.image_stride(), *dy = io.dy.data + n * desc_.image_stride();
      float* dx = io.dx[0].data + n * io.dx[0].desc.image_stride();
      cpu::parallel_pieces(device_.threads(), each, kGrain, [=](size_t first, size_t last) {
        for (size_t i = first; i < last; ++i) dx[i] = (add ? dx[i] : 0) + (x[i] > -1 && x[i] < 1 ? dy[i] : 0);
      });
    }
  }

 private:
  static constexpr size_t kGrain = 16384;   // floats
  cpu::Device& device_;
  TensorDesc desc_;
  Write dx_;
};

}  // namespace

void binarize_weights(std::span<const float> weights, size_t filters, std::span<float> out) {
  const size_t each = weights.size() / filters;
  for (size_t o = 0; o < filters; ++o) {
    double sum = 0;
    for (const float w : weights.subspan(o * each, each)) sum += std::abs(static_cast<double>(w));
    const float mean = static_cast<float>(sum / static_cast<double>(each));
    for (size_t i = o * each; i < (o + 1) * each; ++i) out[i] = weights[i] > 0 ? mean : -mean;
  }
}

std::unique_ptr<Kernel> compile_binarize(cpu::Device& device, const KernelArgs& args) { return std::make_unique<BinarizeKernel>(device, args); }

}  // namespace dn
