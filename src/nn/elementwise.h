// Whole-buffer helpers that several kernels share. The loops are simple enough for the compiler to vectorise.
#pragma once

#include <cstring>

#include "device/cpu/parallel.h"
#include "tensor/tensor.h"

namespace dn {

inline constexpr size_t kElementwiseGrain = 16384;  // floats

inline void add_to(int threads, float* to, const float* from, size_t count) {
  cpu::parallel_pieces(threads, count, kElementwiseGrain, [=](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) to[i] += from[i];
  });
}

// The same for tensors of one shape whose images may lie at different distances.
inline void add_images(int threads, const Tensor& to, const Tensor& from) {
  const size_t count = from.desc.count() / static_cast<size_t>(from.desc.shape.n);
  for (int n = 0; n < from.desc.shape.n; ++n)
    add_to(threads, to.data + static_cast<size_t>(n) * to.desc.image_stride(), from.data + static_cast<size_t>(n) * from.desc.image_stride(), count);
}

inline void copy_to(int threads, float* to, const float* from, size_t count) {
  cpu::parallel_pieces(threads, count, kElementwiseGrain, [=](size_t first, size_t last) { std::memcpy(to + first, from + first, (last - first) * sizeof(float)); });
}

inline void zero(int threads, float* to, size_t count) {
  cpu::parallel_pieces(threads, count, kElementwiseGrain, [=](size_t first, size_t last) { std::memset(to + first, 0, (last - first) * sizeof(float)); });
}

}  // namespace dn
