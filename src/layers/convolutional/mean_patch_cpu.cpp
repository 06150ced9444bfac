#include "layers/convolutional/mean_patch_cpu.h"

#include <algorithm>

#include "device/cpu/parallel.h"

namespace dn {

// Images are added up first, so that the patches are taken of one plane per channel only.
std::vector<float> mean_patch(int threads, const Tensor& x, const cpu::ConvShape& shape) {
  const Shape &in = x.desc.shape, &out = shape.out;
  const int size = shape.size, before = shape.padding * shape.dilation, block = x.desc.block;
  const double values = static_cast<double>(in.n) * static_cast<double>(out.plane());
  std::vector<float> mean(static_cast<size_t>(in.c) * static_cast<size_t>(size) * static_cast<size_t>(size));
  cpu::parallel_for(threads, static_cast<size_t>(x.desc.channel_blocks()), [&](size_t b) {
    std::vector<double> plane(x.desc.block_stride(), 0.0);   // [H, W, block]
    for (int n = 0; n < in.n; ++n) {
      const float* const image = x.data + static_cast<size_t>(n) * x.desc.image_stride() + b * x.desc.block_stride();
      for (size_t i = 0; i < plane.size(); ++i) plane[i] += static_cast<double>(image[i]);
    }
    const int first = static_cast<int>(b) * block, last = std::min(in.c, first + block);
    for (int c = first; c < last; ++c)
      for (int tap = 0; tap < size * size; ++tap) {
        double sum = 0;
        for (int oy = 0; oy < out.h; ++oy) {
          const int iy = oy * shape.stride_y - before + tap / size * shape.dilation;
          if (iy < 0 || iy >= in.h) continue;
          for (int ox = 0; ox < out.w; ++ox)
            if (const int ix = ox * shape.stride_x - before + tap % size * shape.dilation; ix >= 0 && ix < in.w)
              sum += plane[static_cast<size_t>((iy * in.w + ix) * block + c - first)];
        }
        mean[static_cast<size_t>(c * size * size + tap)] = static_cast<float>(sum / values);
      }
  });
  return mean;
}

}  // namespace dn
