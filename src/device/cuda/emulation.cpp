// The stream without a GPU. Its memory is out of reach for everything but the stream's own work, so a host that reads through a device's address
// ends here as it would there.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "device/cpu/parallel.h"
#include "device/cuda/emulated_memory.h"
#include "device/cuda/stream.h"

namespace dn::cuda {
namespace {

class PinnedBlock : public DeviceMemory {
 public:
  explicit PinnedBlock(size_t bytes) : memory_(bytes) {}
  std::byte* data() const override { return const_cast<std::byte*>(memory_.data()); }
  size_t bytes() const override { return memory_.size(); }

 private:
  std::vector<std::byte> memory_;
};

// What the device has, and what of it is taken; emulated_stream says what the others are.
struct Bytes {
  size_t all, others;
  std::atomic<size_t> taken = 0;
  size_t free() const { return all - std::min(all, taken.load()); }
};

class Block : public DeviceMemory {
 public:
  Block(std::shared_ptr<Bytes> device, size_t bytes) : device_(std::move(device)), memory_(emulated_memory(bytes)) { device_->taken += bytes; }
  ~Block() override { device_->taken -= memory_->bytes(); }
  std::byte* data() const override { return memory_->data(); }
  size_t bytes() const override { return memory_->bytes(); }

 private:
  std::shared_ptr<Bytes> device_;
  std::unique_ptr<DeviceMemory> memory_;
};

using Launches = std::vector<std::function<void()>>;

class EmulatedRecording : public Recording {
 public:
  explicit EmulatedRecording(Launches launches) : launches_(std::move(launches)) {}
  void replay() override {
    for (const auto& launch : launches_) {
      const EmulatedAccess access;
      launch();
    }
  }

 private:
  Launches launches_;
};

constexpr size_t kUnlimited = size_t{1} << 46;

class EmulatedStream : public Stream {
 public:
  EmulatedStream(size_t bytes, size_t others) : bytes_(std::make_shared<Bytes>(bytes > 0 ? bytes : kUnlimited, others)) {}
  void* handle() const override { return nullptr; }
  std::string description() const override { return "emulated GPU"; }
  std::unique_ptr<DeviceMemory> allocate(size_t bytes) override {
    if (bytes_->others > 0 && bytes + bytes_->others > free_bytes()) bytes_->all -= std::exchange(bytes_->others, 0);
    if (bytes > free_bytes()) throw too_little_memory(bytes, free_bytes());
    return std::make_unique<Block>(bytes_, bytes);
  }
  size_t free_bytes() const override { return bytes_->free(); }
  std::unique_ptr<DeviceMemory> allocate_pinned(size_t bytes) override { return std::make_unique<PinnedBlock>(bytes); }

  void to_device(void* to, const void* from, size_t bytes) override {
    ensure(!recording_, "a recording takes nothing from the host");
    copy(to, from, bytes);
  }
  void to_host(void* to, const void* from, size_t bytes) override {
    ensure(!recording_, "a recording gives nothing to the host");
    copy(to, from, bytes);
  }
  void on_device(void* to, const void* from, size_t bytes) override {
    if (bytes) emulate([=] { std::memmove(to, from, bytes); });
  }
  void fill(void* to, int byte, size_t bytes) override {
    if (bytes) emulate([=] { std::memset(to, byte, bytes); });
  }
  void synchronize() override { ensure(!recording_, "a recording does not wait"); }

  std::unique_ptr<Recording> record(const std::function<void()>& work) override {
    recording_ = true;
    launches_.clear();
    try {
      work();
    } catch (...) {
      recording_ = false;
      throw;
    }
    recording_ = false;
    return std::make_unique<EmulatedRecording>(std::exchange(launches_, {}));
  }

  void emulate(std::function<void()> launch) override {
    if (recording_) {
      launches_.push_back(std::move(launch));
      return;
    }
    const EmulatedAccess access;
    launch();
  }

 private:
  static void copy(void* to, const void* from, size_t bytes) {
    if (bytes == 0) return;
    const EmulatedAccess access;
    std::memcpy(to, from, bytes);
  }

  std::shared_ptr<Bytes> bytes_;   // blocks may outlive the stream
  bool recording_ = false;
  Launches launches_;
};

}  // namespace

std::unique_ptr<Stream> emulated_stream(size_t bytes, size_t others) { return std::make_unique<EmulatedStream>(bytes, others); }

void run_on_host(size_t count, const std::function<void(size_t)>& body) {
  const int threads = count < 8 ? 1 : cpu::available_processors();
  cpu::parallel_for(threads, count, body);
}

}  // namespace dn::cuda
