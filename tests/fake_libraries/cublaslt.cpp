// The functions of cuBLASLt that are used, on memory of the host: D = op(A) B for column-major matrices, by definition.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/half.h"

namespace {

constexpr int kNotSupported = 15, kBf16 = 14;                // of cublasStatus_t, of cudaDataType_t
constexpr int kTransA = 3, kReductions = 3, kWorkspace = 1;  // attributes

struct Operation {
  int turned_a = 0;
};
struct Layout {
  int type = 0;
  uint64_t rows = 0, columns = 0;
  int64_t leading = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = 0;
};
struct Result {  // cublasLtMatmulHeuristicResult_t
  uint64_t algorithm[8];
  size_t workspace;
  int state;
};

float value(const void* data, const Layout& layout, uint64_t row, uint64_t column) {
  const uint16_t bits = static_cast<const uint16_t*>(data)[row + column * static_cast<uint64_t>(layout.leading)];
  return layout.type == kBf16 ? dn::from_bf16(bits) : dn::from_f16(bits);
}

}  // namespace

extern "C" {
size_t cublasLtGetVersion() { return 130000; }
const char* cublasLtGetStatusString(int) { return "FAKE_ERROR"; }
int cublasLtCreate(void** to) {
  *to = new char;
  return 0;
}
int cublasLtDestroy(void* it) {
  delete static_cast<char*>(it);
  return 0;
}
int cublasLtMatmulDescCreate(Operation** to, int, int) {
  *to = new Operation;
  return 0;
}
int cublasLtMatmulDescDestroy(Operation* it) {
  delete it;
  return 0;
}
int cublasLtMatmulDescSetAttribute(Operation* it, int name, const void* from, size_t bytes) {
  if (name != kTransA || bytes != sizeof(int)) return kNotSupported;
  std::memcpy(&it->turned_a, from, bytes);
  return 0;
}
int cublasLtMatrixLayoutCreate(Layout** to, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  *to = new Layout{type, rows, columns, leading};
  return 0;
}
int cublasLtMatrixLayoutDestroy(Layout* it) {
  delete it;
  return 0;
}
int cublasLtMatmulPreferenceCreate(Preference** to) {
  *to = new Preference;
  return 0;
}
int cublasLtMatmulPreferenceDestroy(Preference* it) {
  delete it;
  return 0;
}
int cublasLtMatmulPreferenceSetAttribute(Preference* it, int name, const void* from, size_t) {
  if (name == kWorkspace) std::memcpy(&it->workspace, from, sizeof it->workspace);
  if (name == kReductions) std::memcpy(&it->reductions, from, sizeof it->reductions);
  return 0;
}
// Half of the workspace that it may have.
int cublasLtMatmulAlgoGetHeuristic(void*, Operation*, Layout* a, Layout* b, Layout*, Layout* d, Preference* preference, int, Result* to, int* count) {
  *count = a->rows == b->rows && a->columns == d->rows && b->columns == d->columns ? 1 : 0;
  to->workspace = preference->workspace / 2, to->state = 0;
  return 0;
}
int cublasLtMatmul(void*, Operation* operation, const float*, const void* a, Layout* a_layout, const void* b, Layout* b_layout, const float*,
                   const void*, Layout*, float* d, Layout* d_layout, const void*, void*, size_t, void*) {
  for (uint64_t row = 0; row < d_layout->rows; ++row)
    for (uint64_t column = 0; column < d_layout->columns; ++column) {
      float sum = 0;
      for (uint64_t i = 0; i < b_layout->rows; ++i)
        sum += (operation->turned_a ? value(a, *a_layout, i, row) : value(a, *a_layout, row, i)) * value(b, *b_layout, i, column);
      d[row + column * static_cast<uint64_t>(d_layout->leading)] = sum;
    }
  return 0;
}
}
