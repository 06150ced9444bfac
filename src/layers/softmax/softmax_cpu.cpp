// [softmax] on the CPU. Class scores are few, so this is plain code in double over the elements' addresses; an item is one softmax.
#include <algorithm>
#include <cmath>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/softmax/softmax.h"

namespace dn {
namespace {

class SoftmaxCpu : public Kernel {
 public:
  SoftmaxCpu(const Softmax& layer, cpu::Device& device, const KernelArgs& args)
      : device_(device),
        dx_(args.dx),
        backward_(args.backward),
        x_(args.x[0]),
        y_(args.y),
        spatial_(layer.spec().spatial),
        temperature_(layer.spec().temperature) {
    const size_t groups = static_cast<size_t>(layer.spec().groups), plane = y_.shape.plane();
    length_ = (spatial_ ? static_cast<size_t>(y_.shape.c) : y_.shape.per_image()) / groups;
    per_image_ = spatial_ ? groups * plane : groups;
  }
  Needs needs() const override {
    Needs needs;
    needs.y_in_backward = backward_;
    return needs;
  }

  void forward(const Io& io, const Pass&) override {
    std::fill_n(io.y.data, y_.count(), 0.f);  // the padding
    each_softmax([&](size_t image, size_t item) {
      const auto scaled = [&](size_t k) { return static_cast<double>(io.x[0].data[offset(x_, image, item, k)]) / temperature_; };
      double top = scaled(0), sum = 0;
      for (size_t k = 1; k < length_; ++k) top = std::max(top, scaled(k));
      for (size_t k = 0; k < length_; ++k) sum += std::exp(scaled(k) - top);
      for (size_t k = 0; k < length_; ++k) io.y.data[offset(y_, image, item, k)] = static_cast<float>(std::exp(scaled(k) - top) / sum);
    });
  }

  void backward(const Io& io, const Pass&) override {
    if (dx_.empty() || dx_[0] == Write::none) return;
    if (dx_[0] == Write::overwrite) std::fill_n(io.dx[0].data, x_.count(), 0.f);
    each_softmax([&](size_t image, size_t item) {
      double mean = 0;
      for (size_t k = 0; k < length_; ++k) {
        const size_t at = offset(y_, image, item, k);
        mean += static_cast<double>(io.dy.data[at]) * static_cast<double>(io.y.data[at]);
      }
      for (size_t k = 0; k < length_; ++k) {
        const size_t at = offset(y_, image, item, k);
        const double gradient = static_cast<double>(io.y.data[at]) * (static_cast<double>(io.dy.data[at]) - mean) / temperature_;
        io.dx[0].data[offset(x_, image, item, k)] += static_cast<float>(gradient);
      }
    });
  }

 private:
  template <class Body>
  void each_softmax(const Body& body) {
    cpu::parallel_for(device_.threads(), static_cast<size_t>(y_.shape.n) * per_image_, [&](size_t i) { body(i / per_image_, i % per_image_); });
  }

  // Value k of a softmax. `item` is a group, or (group, pixel) with spatial.
  size_t offset(const TensorDesc& desc, size_t image, size_t item, size_t k) const {
    const size_t plane = y_.shape.plane();
    const size_t flat = spatial_ ? (item / plane * length_ + k) * plane + item % plane : item * length_ + k;  // in [C,H,W]
    const size_t channel = flat / plane, pixel = flat % plane, block = static_cast<size_t>(desc.block);
    return image * desc.image_stride() + channel / block * desc.block_stride() + pixel * block + channel % block;
  }

  cpu::Device& device_;
  std::vector<Write> dx_;
  bool backward_;
  TensorDesc x_, y_;
  bool spatial_;
  double temperature_;
  size_t length_ = 0, per_image_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> Softmax::compile_cpu(const Softmax& layer, cpu::Device& device, const KernelArgs& args) {
  layer.warn_of_training(args);
  return std::make_unique<SoftmaxCpu>(layer, device, args);
}

}  // namespace dn
