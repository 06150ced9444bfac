#include "device/cuda/cudnn_api.h"

#include "device/device.h"

namespace dn::cuda::cudnn {
namespace {

constexpr size_t kOldest = 90000;

// Fills the table. Why the library will not do; empty: it does.
std::string read_functions(const Library& library, Functions& to) {
  std::string missing;
  decltype(&cudnnGetVersion) get_version = nullptr;
  library.read("cudnnGetVersion", get_version, missing);
  if (get_version) to.version = get_version();
  if (get_version && to.version < kOldest) return concat("is version ", version_text(to.version));
  library.read("cudnnGetErrorString", to.error_string, missing);
  library.read("cudnnGetLastErrorString", to.last_error_string, missing);
  library.read("cudnnCreate", to.create, missing);
  library.read("cudnnDestroy", to.destroy, missing);
  library.read("cudnnSetStream", to.set_stream, missing);
  library.read("cudnnBackendCreateDescriptor", to.create_descriptor, missing);
  library.read("cudnnBackendDestroyDescriptor", to.destroy_descriptor, missing);
  library.read("cudnnBackendSetAttribute", to.set_attribute, missing);
  library.read("cudnnBackendGetAttribute", to.get_attribute, missing);
  library.read("cudnnBackendFinalize", to.finalize, missing);
  library.read("cudnnBackendExecute", to.execute, missing);
  return missing.empty() ? "" : "has no " + missing;
}

}  // namespace

std::string version_text(size_t version) {
  const size_t major = version >= kOldest ? 10000 : 1000;  // 8907 was 8.9.7
  return concat(version / major, ".", version % major / 100, ".", version % 100);
}

std::shared_ptr<const Api> load(const std::vector<LibraryPlace>& places) {
  Functions functions;
  Library library = Library::open(
      {"cuDNN 9.0 or later", {"libcudnn.so.9", "libcudnn.so"}, [&](const Library& found) { return read_functions(found, functions); }}, places);
  return std::make_shared<const Api>(functions, std::move(library));
}

void Api::check(cudnnStatus_t status, const char* doing) const {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char details[512] = "";
  last_error_string(details, sizeof details);
  const std::string message = concat("cuDNN: ", doing, ": ", error_string(status), *details ? concat(" (", details, ")") : "");
  if (status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED) throw OutOfMemory(message);
  throw Error(message);
}

}  // namespace dn::cuda::cudnn
