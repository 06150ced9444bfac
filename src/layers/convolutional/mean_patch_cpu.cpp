#include "layers/convolutional/mean_patch_cpu.h"

#include "device/cpu/parallel.h"

namespace dn {

std::vector<float> mean_patch(int threads, const Tensor& x, const cpu::ConvShape& shape) {
  const Shape &in = x.desc.shape, &out = shape.out;
  const int size = shape.size, before = shape.padding * shape.dilation;
  std::vector<float> mean(static_cast<size_t>(in.c) * static_cast<size_t>(size) * static_cast<size_t>(size));
  cpu::parallel_for(threads, mean.size(), [&](size_t i) {
    const int c = static_cast<int>(i) / (size * size), ky = static_cast<int>(i) / size % size, kx = static_cast<int>(i) % size;
    double sum = 0;
    for (int n = 0; n < in.n; ++n)
      for (int oy = 0; oy < out.h; ++oy) {
        const int iy = oy * shape.stride_y - before + ky * shape.dilation;
        if (iy < 0 || iy >= in.h) continue;
        for (int ox = 0; ox < out.w; ++ox)
          if (const int ix = ox * shape.stride_x - before + kx * shape.dilation; ix >= 0 && ix < in.w) sum += static_cast<double>(x.at(n, c, iy, ix));
      }
    mean[i] = static_cast<float>(sum / (static_cast<double>(in.n) * static_cast<double>(out.plane())));
  });
  return mean;
}

}  // namespace dn
