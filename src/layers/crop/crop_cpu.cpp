// [crop] on the CPU: an item is one row of one image. The input is plain where it is the network's.
#include <algorithm>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/crop/crop.h"
#include "nn/elementwise.h"
#include "nn/normalize.h"

namespace dn {
namespace {

// Saturation and value of HSV multiplied, both capped at full (image/colour.h, without a turn of the hue).
void change_colours(float* rgb, float saturation, float exposure) {
  const float value = std::max({rgb[0], rgb[1], rgb[2]}), range = value - std::min({rgb[0], rgb[1], rgb[2]});
  const float brighter = std::min(value * exposure, 1.f), strength = value > 0 ? std::min(range / value * saturation, 1.f) : 0.f;
  for (int c = 0; c < 3; ++c) rgb[c] = brighter - (range > 0 ? brighter * strength * (value - rgb[c]) / range : 0.f);
}

class CropCpu : public Kernel {
 public:
  CropCpu(const Crop& layer, cpu::Device& device, const KernelArgs& args)
      : layer_(layer), threads_(device.threads()), in_(args.x[0].shape), out_(args.y.shape), dx_(args.dx.empty() ? Write::none : args.dx[0]) {}
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass& pass) override {
    clear_padding(threads_, io.y);
    const float scale = static_cast<float>(layer_.scale()), offset = static_cast<float>(layer_.offset());
    const bool colours = pass.training && layer_.changes_colours();
    each_row(pass, [&](const CropDraw& d, int n, int row) {
      for (int j = 0; j < out_.w; ++j) {
        const int column = source_column(d, j);
        if (!colours) {
          for (int c = 0; c < out_.c; ++c) io.y.at(n, c, row, j) = scale * io.x[0].at(n, c, d.top + row, column) + offset;
          continue;
        }
        float rgb[3];
        for (int c = 0; c < 3; ++c) rgb[c] = io.x[0].at(n, c, d.top + row, column);
        change_colours(rgb, static_cast<float>(d.saturation), static_cast<float>(d.exposure));
        for (int c = 0; c < 3; ++c) io.y.at(n, c, row, j) = scale * rgb[c] + offset + static_cast<float>(d.added[c]);
      }
    });
  }

  void backward(const Io& io, const Pass& pass) override {
    if (dx_ == Write::none) return;
    if (dx_ == Write::overwrite) zero(threads_, io.dx[0].data, io.dx[0].desc.count());
    const float scale = static_cast<float>(layer_.scale());
    each_row(pass, [&](const CropDraw& d, int n, int row) {
      for (int c = 0; c < out_.c; ++c)
        for (int j = 0; j < out_.w; ++j) io.dx[0].at(n, c, d.top + row, source_column(d, j)) += scale * io.dy.at(n, c, row, j);
    });
  }

 private:
  int source_column(const CropDraw& d, int j) const { return d.flip ? in_.w - 1 - (d.left + j) : d.left + j; }

  // visit(draw, image, row of the output); no two of them meet in a row of the input.
  template <class Visit>
  void each_row(const Pass& pass, const Visit& visit) const {
    std::vector<CropDraw> draws;
    for (int n = 0; n < out_.n; ++n) draws.push_back(layer_.draw(pass, n, in_, out_));
    const size_t rows = static_cast<size_t>(out_.h);
    cpu::parallel_for(threads_, draws.size() * rows,
                      [&](size_t i) { visit(draws[i / rows], static_cast<int>(i / rows), static_cast<int>(i % rows)); });
  }

  const Crop& layer_;
  int threads_;
  Shape in_, out_;
  Write dx_;
};

}  // namespace

std::unique_ptr<Kernel> Crop::compile_cpu(const Crop& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<CropCpu>(layer, device, args);
}

}  // namespace dn
