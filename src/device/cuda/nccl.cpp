#include "device/cuda/nccl.h"

#include <cstdlib>

#include "base/error.h"

namespace dn::cuda {
namespace nccl {
namespace {

constexpr int kOldest = 21000;

// 22809: 2.28.9.
std::string version_text(int version) { return concat(version / 10000, ".", version / 100 % 100, ".", version % 100); }

// Fills the table. Why the library will not do; empty: it does.
std::string read_functions(const Library& library, Functions& to) {
  std::string missing;
  int (*get_version)(int*) = nullptr;
  library.read("ncclGetVersion", get_version, missing);
  if (get_version && get_version(&to.version) == kSuccess && to.version < kOldest) return concat("is version ", version_text(to.version));
  library.read("ncclGetErrorString", to.error_string, missing);
  library.read("ncclCommInitAll", to.init_all, missing);
  library.read("ncclCommDestroy", to.destroy, missing);
  library.read("ncclGroupStart", to.group_start, missing);
  library.read("ncclGroupEnd", to.group_end, missing);
  library.read("ncclReduce", to.reduce, missing);
  library.read("ncclBroadcast", to.broadcast, missing);
  return missing.empty() ? "" : "has no " + missing;
}

// Sums in the same order every time: NVLink's switches and trees add as things arrive. What the user set stays.
void ask_for_fixed_order() {
  ::setenv("NCCL_ALGO", "Ring", 0);
  ::setenv("NCCL_PROTO", "Simple", 0);
  ::setenv("NCCL_NVLS_ENABLE", "0", 0);
}

class NcclLinks : public Links {
 public:
  NcclLinks(std::shared_ptr<const Api> api, std::span<Device* const> devices)
      : api_(std::move(api)), devices_(devices.begin(), devices.end()), communicators_(devices.size(), nullptr) {
    if (devices_[0]->options().convolutions.deterministic) ask_for_fixed_order();
    std::vector<int> numbers;
    for (const Device* device : devices_) numbers.push_back(device->options().gpu);
    api_->check(api_->init_all(communicators_.data(), static_cast<int>(numbers.size()), numbers.data()), "connecting the GPUs");
  }
  ~NcclLinks() override {
    for (void* communicator : communicators_)
      if (communicator) api_->destroy(communicator);
  }
  std::string description() const override { return concat("links by NCCL ", version_text(api_->version)); }

  void sum_into_first(std::span<float* const> buffers, size_t count) override {
    together("summing gradients", [&](size_t rank, void* stream) {
      return api_->reduce(buffers[rank], buffers[rank], count, kFloats, kSum, 0, communicators_[rank], stream);
    });
  }
  void copy_from_first(std::span<void* const> buffers, size_t bytes) override {
    together("copying weights", [&](size_t rank, void* stream) {
      return api_->broadcast(buffers[rank], buffers[rank], bytes, kBytes, 0, communicators_[rank], stream);
    });
  }

 private:
  // One thread calls for all GPUs, so the calls are a group: none may wait for the next.
  template <class Call>
  void together(const char* doing, const Call& call) const {
    api_->check(api_->group_start(), doing);
    int status = kSuccess;
    for (size_t rank = 0; rank < devices_.size() && status == kSuccess; ++rank) status = call(rank, devices_[rank]->stream().handle());
    const int end = api_->group_end();
    api_->check(status != kSuccess ? status : end, doing);
  }

  std::shared_ptr<const Api> api_;
  std::vector<Device*> devices_;
  std::vector<void*> communicators_;   // by rank
};

}  // namespace

std::shared_ptr<const Api> load(const std::vector<LibraryPlace>& places) {
  Functions functions;
  Library library =
      Library::open({"NCCL 2.10 or later", {"libnccl.so.2", "libnccl.so"}, [&](const Library& found) { return read_functions(found, functions); }}, places);
  return std::make_shared<const Api>(functions, std::move(library));
}

void Api::check(int status, const char* doing) const {
  if (status != kSuccess) fail("NCCL: ", doing, ": ", error_string(status));
}

std::unique_ptr<Links> links(std::shared_ptr<const Api> api, std::span<Device* const> devices) {
  return std::make_unique<NcclLinks>(std::move(api), devices);
}

}  // namespace nccl

std::unique_ptr<Links> nccl_links(std::span<Device* const> devices) { return nccl::links(nccl::load(), devices); }

}  // namespace dn::cuda
