// [crop] on a GPU: a thread makes eight channels of a pixel; backward goes over the pixels of the input, so that each is written once. What is drawn for
// the images is uploaded before the pass, for backward too.
#include "device/cuda/launch.h"
#include "layers/crop/crop.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

// CropDraw of one image, on the device.
struct Window {
  int top = 0, left = 0, flip = 0;
  float saturation = 1, exposure = 1, added[3] = {0, 0, 0};
  DN_HD int column(int j, int width) const { return flip ? width - 1 - (left + j) : left + j; }  // of the input, for column j of the output
};

// Saturation and value of HSV multiplied, both capped at full (image/colour.h, without a turn of the hue).
DN_HD inline void change_colours(float* rgb, float saturation, float exposure) {
  float value = rgb[0], low = rgb[0];
  for (int c = 1; c < 3; ++c) value = value < rgb[c] ? rgb[c] : value, low = low > rgb[c] ? rgb[c] : low;
  const float range = value - low, bright = value * exposure, strong = value > 0 ? range / value * saturation : 0;
  const float brighter = bright < 1 ? bright : 1, strength = strong < 1 ? strong : 1;
  for (int c = 0; c < 3; ++c) rgb[c] = brighter - (range > 0 ? brighter * strength * (value - rgb[c]) / range : 0);
}

struct CropBody {
  View x, y;
  const Window* windows;
  float scale, offset;
  bool colours;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    const size_t plane = cuda::plane_of(y), image = pixel / plane;
    const int row = static_cast<int>(pixel % plane) / y.w, column = static_cast<int>(pixel % plane) % y.w;
    const Window& window = windows[image];
    Eight value = x.get_eight(x.at(static_cast<int>(image), window.top + row, window.column(column, x.w), channel));
    if (colours) change_colours(value.v, window.saturation, window.exposure);  // three channels only
    for (int k = 0; k < kEight; ++k) value.v[k] = scale * value.v[k] + offset + (colours && k < 3 ? window.added[k] : 0);
    cuda::clear_padding(value, channel, y.c);
    y.set_eight(y.at(pixel, channel), value);
  }
};

struct CropBackwardBody {
  View dy, dx;
  const Window* windows;
  float scale;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dx, i);
    const size_t plane = cuda::plane_of(dx), image = pixel / plane;
    const Window& window = windows[image];
    const int row = static_cast<int>(pixel % plane) / dx.w - window.top, from = static_cast<int>(pixel % plane) % dx.w;
    const int column = (window.flip ? dx.w - 1 - from : from) - window.left;
    Eight value{};
    if (row >= 0 && row < dy.h && column >= 0 && column < dy.w) value = dy.get_eight(dy.at(static_cast<int>(image), row, column, channel));
    for (float& v : value.v) v *= scale;
    cuda::put_eight(dx, dx.at(pixel, channel), value, add);
  }
};

class CropCuda : public Kernel {
 public:
  CropCuda(const Crop& layer, cuda::Device& device, const KernelArgs& args)
      : layer_(layer),
        device_(device),
        in_(args.x[0].shape),
        out_(args.y.shape),
        dx_(args.dx.empty() ? Write::none : args.dx[0]),
        windows_(device.allocate(static_cast<size_t>(out_.n) * sizeof(Window))) {}
  Needs needs() const override { return {.kept = windows_->bytes()}; }

  void prepare(const Io&, const Pass& pass) override {
    std::vector<Window> windows;
    for (int n = 0; n < out_.n; ++n) {
      const CropDraw d = layer_.draw(pass, n, in_, out_);
      windows.push_back({d.top, d.left, d.flip, static_cast<float>(d.saturation), static_cast<float>(d.exposure)});
      for (size_t c = 0; c < 3; ++c) windows.back().added[c] = static_cast<float>(d.added[c]);
    }
    device_.stream().to_device(windows_->data(), windows.data(), windows_->bytes());
  }

  void forward(const Io& io, const Pass& pass) override {
    const View y = cuda::view(io.y);
    cuda::for_each(device_.stream(), y.eights(),
                   CropBody{cuda::view(io.x[0]), y, windows(), static_cast<float>(layer_.scale()), static_cast<float>(layer_.offset()),
                            pass.training && layer_.changes_colours()});
  }
  void backward(const Io& io, const Pass&) override {
    if (dx_ == Write::none) return;
    const View dx = cuda::view(io.dx[0]);
    cuda::for_each(device_.stream(), dx.eights(),
                   CropBackwardBody{cuda::view(io.dy), dx, windows(), static_cast<float>(layer_.scale()), dx_ == Write::accumulate});
  }

 private:
  const Window* windows() const { return reinterpret_cast<const Window*>(windows_->data()); }

  const Crop& layer_;
  cuda::Device& device_;
  Shape in_, out_;
  Write dx_;
  std::unique_ptr<DeviceMemory> windows_;
};

}  // namespace

std::unique_ptr<Kernel> Crop::compile_cuda(const Crop& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<CropCuda>(layer, device, args);
}

}  // namespace dn
