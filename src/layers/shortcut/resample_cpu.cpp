// One item is a channel block of an image; both directions are the same walk over the places that two maps share.
#include "layers/shortcut/resample_cpu.h"

#include <algorithm>
#include <cstdlib>

#include "device/cpu/parallel.h"

namespace dn {
namespace {

// visit(values of the coarse place, values of the fine one) where coarse place (i, j) stands for fine place (k i, k j).
template <class Visit>
void each_shared_place(const Shape& coarse, const Shape& fine, int k, size_t block, const Visit& visit) {
  for (int i = 0; i < coarse.h && i * k < fine.h; ++i)
    for (int j = 0; j < coarse.w && j * k < fine.w; ++j)
      visit((static_cast<size_t>(i) * static_cast<size_t>(coarse.w) + static_cast<size_t>(j)) * block,
            (static_cast<size_t>(i * k) * static_cast<size_t>(fine.w) + static_cast<size_t>(j * k)) * block);
}

void move_samples(int threads, const Tensor& from, bool from_fine, int k, const Tensor& to, bool add) {
  const size_t blocks = static_cast<size_t>(to.desc.channel_blocks()), block = static_cast<size_t>(to.desc.block);
  const Shape &coarse = from_fine ? to.desc.shape : from.desc.shape, &fine = from_fine ? from.desc.shape : to.desc.shape;
  cpu::parallel_for(threads, static_cast<size_t>(to.desc.shape.n) * blocks, [&](size_t item) {
    const float* source = from.data + item / blocks * from.desc.image_stride() + item % blocks * from.desc.block_stride();
    float* target = to.data + item / blocks * to.desc.image_stride() + item % blocks * to.desc.block_stride();
    if (!add) std::fill_n(target, to.desc.block_stride(), 0.f);
    each_shared_place(coarse, fine, k, block, [&](size_t at_coarse, size_t at_fine) {
      const float* v = source + (from_fine ? at_fine : at_coarse);
      float* t = target + (from_fine ? at_coarse : at_fine);
      for (size_t l = 0; l < block; ++l) t[l] = add ? t[l] + v[l] : v[l];
    });
  });
}

}  // namespace

void gather_samples(int threads, const Tensor& from, int step, const Tensor& to) { move_samples(threads, from, step > 0, std::abs(step), to, false); }

void scatter_samples(int threads, const Tensor& from, int step, const Tensor& to, Write write) {
  move_samples(threads, from, step < 0, std::abs(step), to, write == Write::accumulate);
}

}  // namespace dn
