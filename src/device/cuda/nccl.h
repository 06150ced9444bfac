// NCCL, opened when several GPUs are used. Its functions are declared here, as they have been since NCCL 2.0, so that no build needs its header.
#pragma once

#include <memory>

#include "device/cuda/library.h"
#include "device/cuda/links.h"

namespace dn::cuda::nccl {

inline constexpr int kSuccess = 0, kSum = 0, kBytes = 0, kFloats = 7;   // of ncclResult_t, ncclRedOp_t, ncclDataType_t

struct Functions {
  int version = 0;   // 22809 is 2.28.9
  const char* (*error_string)(int) = nullptr;
  int (*init_all)(void** communicators, int count, const int* devices) = nullptr;
  int (*destroy)(void* communicator) = nullptr;
  int (*group_start)() = nullptr;
  int (*group_end)() = nullptr;
  int (*reduce)(const void* from, void* to, size_t count, int type, int operation, int root, void* communicator, void* stream) = nullptr;
  int (*broadcast)(const void* from, void* to, size_t count, int type, int root, void* communicator, void* stream) = nullptr;
};

struct Api : Functions {
  Api(const Functions& functions, Library opened) : Functions(functions), library(std::move(opened)) {}
  Library library;
  // Throws Error "NCCL: DOING: REASON" when the call failed.
  void check(int status, const char* doing) const;
};

// Throws Error, one line, when there is none of version 2.10 or later.
std::shared_ptr<const Api> load(const std::vector<LibraryPlace>& places = library_places());

// A communicator over the devices, whose streams take the work.
std::unique_ptr<Links> links(std::shared_ptr<const Api> api, std::span<Device* const> devices);

}  // namespace dn::cuda::nccl
