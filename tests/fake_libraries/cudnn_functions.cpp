// The functions that a cuDNN has beside its version; here all of them fail.
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace {
constexpr int kInternalError = 5000;
}

extern "C" {
const char* cudnnGetErrorString(int) { return "FAKE_ERROR"; }
void cudnnGetLastErrorString(char* to, size_t room) { std::strncpy(to, "this is no cuDNN", room); }
int cudnnCreate(void**) { return kInternalError; }
int cudnnDestroy(void*) { return kInternalError; }
int cudnnSetStream(void*, void*) { return kInternalError; }
int cudnnBackendCreateDescriptor(int, void**) { return kInternalError; }
int cudnnBackendDestroyDescriptor(void*) { return kInternalError; }
int cudnnBackendSetAttribute(void*, int, int, int64_t, const void*) { return kInternalError; }
int cudnnBackendGetAttribute(void*, int, int, int64_t, int64_t*, void*) { return kInternalError; }
int cudnnBackendFinalize(void*) { return kInternalError; }
int cudnnBackendExecute(void*, void*, void*) { return kInternalError; }
}
