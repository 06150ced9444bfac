// Blocks of whole pages that nobody may touch while no EmulatedAccess lives; see emulated_memory.h.
#include <sys/mman.h>

#include <mutex>
#include <set>

#include "base/error.h"
#include "base/numbers.h"
#include "device/cuda/emulated_memory.h"

namespace dn::cuda {
namespace {

class Block;
std::recursive_mutex mutex;
std::set<Block*> blocks;
int open_count = 0;

class Block : public DeviceMemory {
 public:
  explicit Block(size_t bytes) : bytes_(bytes), mapped_(round_up(bytes + 1, size_t{4096})) {
    const std::lock_guard lock(mutex);
    void* at = ::mmap(nullptr, mapped_, open_count > 0 ? PROT_READ | PROT_WRITE : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) fail("the emulated device has no ", bytes_text(static_cast<double>(bytes)), " left");
    data_ = static_cast<std::byte*>(at);
    blocks.insert(this);
  }
  ~Block() override {
    const std::lock_guard lock(mutex);
    blocks.erase(this);
    ::munmap(data_, mapped_);
  }
  std::byte* data() const override { return data_; }
  size_t bytes() const override { return bytes_; }
  void protect(int protection) const { ensure(::mprotect(data_, mapped_, protection) == 0, "mprotect"); }

 private:
  std::byte* data_ = nullptr;
  size_t bytes_, mapped_;
};

void protect_all(int protection) {
  for (const Block* block : blocks) block->protect(protection);
}

}  // namespace

std::unique_ptr<DeviceMemory> emulated_memory(size_t bytes) { return std::make_unique<Block>(bytes); }

EmulatedAccess::EmulatedAccess() {
  const std::lock_guard lock(mutex);
  if (open_count++ == 0) protect_all(PROT_READ | PROT_WRITE);
}

EmulatedAccess::~EmulatedAccess() {
  const std::lock_guard lock(mutex);
  if (--open_count == 0) protect_all(PROT_NONE);
}

}  // namespace dn::cuda
