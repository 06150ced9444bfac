// Memory that starts on a cache line: what oneDNN's streaming stores and our vector loads want.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "base/numbers.h"

namespace dn {

template <class T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};
  AlignedAllocator() = default;
  template <class U>
  explicit AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kAlignment)); }
  void deallocate(T* at, size_t) { ::operator delete(at, kAlignment); }
  bool operator==(const AlignedAllocator&) const { return true; }
};

using AlignedFloats = std::vector<float, AlignedAllocator<float>>;

// A block of floats that is not initialized; grows, never shrinks, and forgets its contents when it grows.
class PixelFloats {
 public:
  PixelFloats() = default;
  explicit PixelFloats(size_t count) { reserve(count); }
  void reserve(size_t count) {
    if (count <= capacity_) return;
    data_.reset();
    capacity_ = 0;
    constexpr size_t kAlignment = 64;
    const size_t bytes = round_up(checked_product({count, sizeof(float)}), kAlignment);
    data_.reset(static_cast<float*>(std::aligned_alloc(kAlignment, bytes)));
    if (!data_) throw std::bad_alloc();
    capacity_ = count;
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float[], Free> data_;
  size_t capacity_ = 0;
};

}  // namespace dn
