#include "device/cpu/arena.h"

#include <sys/mman.h>

#include <utility>

#include "base/numbers.h"

namespace dn::cpu {

Arena::Arena(size_t bytes) {
  if (bytes == 0) return;
  constexpr size_t kHugePage = size_t{2} << 20;
  bytes_ = round_up(bytes, kHugePage);
  void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    fail("cannot get ", bytes_text(static_cast<double>(bytes_)), " of memory for activations; raise subdivisions, or lower batch or the network's size");
  data_ = static_cast<std::byte*>(memory);
  ::madvise(data_, bytes_, MADV_HUGEPAGE);
}

Arena::~Arena() {
  if (data_) ::munmap(data_, bytes_);
}

Arena::Arena(Arena&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace dn::cpu
