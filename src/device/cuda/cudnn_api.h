// The functions of cuDNN that are used: those of its graph API, which stay the same within a major version.
#pragma once

#include <cudnn.h>

#include <memory>
#include <string>

#include "device/cuda/library.h"

namespace dn::cuda::cudnn {

struct Functions {
  size_t version = 0;  // 91900 is 9.19.0
  decltype(&cudnnGetErrorString) error_string = nullptr;
  decltype(&cudnnGetLastErrorString) last_error_string = nullptr;
  decltype(&cudnnCreate) create = nullptr;
  decltype(&cudnnDestroy) destroy = nullptr;
  decltype(&cudnnSetStream) set_stream = nullptr;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor = nullptr;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor = nullptr;
  decltype(&cudnnBackendSetAttribute) set_attribute = nullptr;
  decltype(&cudnnBackendGetAttribute) get_attribute = nullptr;
  decltype(&cudnnBackendFinalize) finalize = nullptr;
  decltype(&cudnnBackendExecute) execute = nullptr;
};

struct Api : Functions {
  Api(const Functions& functions, Library opened) : Functions(functions), library(std::move(opened)) {}
  Library library;
  // Throws Error "cuDNN: DOING: REASON" when the call failed.
  void check(cudnnStatus_t status, const char* doing) const;
};

// Throws Error, one line, when there is none of version 9.0 or later.
std::shared_ptr<const Api> load(const std::vector<LibraryPlace>& places = library_places());

std::string version_text(size_t version);  // "9.19.0"

}  // namespace dn::cuda::cudnn
