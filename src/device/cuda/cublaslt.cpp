#include "device/cuda/cublaslt.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "base/error.h"

namespace dn::cuda::cublaslt {
namespace {

constexpr size_t kOldest = 120000;
constexpr size_t kMostWorkspace = size_t{32} << 20;  // more brings nothing, says NVIDIA
constexpr uint32_t kAlignment = 16;                  // bytes, of matrices

// Fills the table. Why the library will not do; empty: it does.
std::string read_functions(const Library& library, Functions& to) {
  std::string missing;
  decltype(&cublasLtGetVersion) get_version = nullptr;
  library.read("cublasLtGetVersion", get_version, missing);
  if (get_version) to.version = get_version();
  if (get_version && to.version < kOldest) return concat("is version ", to.version / 10000, ".", to.version % 10000 / 100);
  library.read("cublasLtGetStatusString", to.status_string, missing);
  library.read("cublasLtCreate", to.create, missing);
  library.read("cublasLtDestroy", to.destroy, missing);
  library.read("cublasLtMatmulDescCreate", to.create_operation, missing);
  library.read("cublasLtMatmulDescDestroy", to.destroy_operation, missing);
  library.read("cublasLtMatmulDescSetAttribute", to.set_operation, missing);
  library.read("cublasLtMatrixLayoutCreate", to.create_layout, missing);
  library.read("cublasLtMatrixLayoutDestroy", to.destroy_layout, missing);
  library.read("cublasLtMatmulPreferenceCreate", to.create_preference, missing);
  library.read("cublasLtMatmulPreferenceDestroy", to.destroy_preference, missing);
  library.read("cublasLtMatmulPreferenceSetAttribute", to.set_preference, missing);
  library.read("cublasLtMatmulAlgoGetHeuristic", to.choose, missing);
  library.read("cublasLtMatmul", to.multiply, missing);
  return missing.empty() ? "" : "has no " + missing;
}

}  // namespace

// That of the CUDA of this build first; 12 goes with every newer driver.
std::shared_ptr<const Api> load(const std::vector<LibraryPlace>& places) {
  std::vector<std::string> names{concat("libcublasLt.so.", CUDART_VERSION / 1000)};
  if (CUDART_VERSION / 1000 != 12) names.emplace_back("libcublasLt.so.12");
  Functions functions;
  Library library = Library::open({"cuBLASLt 12.0 or later", names, [&](const Library& found) { return read_functions(found, functions); }}, places);
  return std::make_shared<const Api>(functions, std::move(library));
}

void Api::check(cublasStatus_t status, const char* doing) const {
  if (status != CUBLAS_STATUS_SUCCESS) fail("cuBLASLt: ", doing, ": ", status_string(status));
}

Handle::Handle(std::shared_ptr<const Api> api) : api_(std::move(api)) { api_->check(api_->create(&it_), "starting on the GPU"); }

Handle::~Handle() { api_->destroy(it_); }

Product::Product(std::shared_ptr<const Handle> handle, DType type, size_t rows, size_t inner, size_t columns, size_t workspace_limit)
    : handle_(std::move(handle)) {
  ensure(type != DType::f32, "a product of 16-bit numbers");
  try {
    describe(type == DType::bf16 ? CUDA_R_16BF : CUDA_R_16F, rows, inner, columns);
    choose(std::min(workspace_limit, kMostWorkspace));
  } catch (...) {
    destroy();
    throw;
  }
}

Product::~Product() { destroy(); }

// To cuBLASLt matrices are column-major, which makes ours their transposes: y^T [columns, rows] = w x^T, where w lies there as w^T [inner, columns].
void Product::describe(cudaDataType_t type, size_t rows, size_t inner, size_t columns) {
  const Api& api = handle_->api();
  const cublasOperation_t turned = CUBLAS_OP_T;
  const auto layout = [&](cublasLtMatrixLayout_t& to, cudaDataType_t stored, size_t column_length, size_t column_count) {
    api.check(api.create_layout(&to, stored, column_length, column_count, static_cast<int64_t>(column_length)), "describing a matrix");
  };
  api.check(api.create_operation(&operation_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product");
  api.check(api.set_operation(operation_, CUBLASLT_MATMUL_DESC_TRANSA, &turned, sizeof turned), "describing a product");
  layout(w_, type, inner, columns);
  layout(x_, type, inner, rows);
  layout(y_, CUDA_R_32F, columns, rows);
}

void Product::choose(size_t workspace_limit) {
  const Api& api = handle_->api();
  cublasLtMatmulPreference_t raw = nullptr;
  api.check(api.create_preference(&raw), "choosing an algorithm");
  const std::unique_ptr<std::remove_pointer_t<cublasLtMatmulPreference_t>, decltype(api.destroy_preference)> preference(raw, api.destroy_preference);
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
    api.check(api.set_preference(raw, name, &value, sizeof value), "choosing an algorithm");
  };
  // Parts of a sum, where there are several, are added in FP32 and in one order.
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{workspace_limit});
  for (const auto alignment : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(alignment, kAlignment);
  cublasLtMatmulHeuristicResult_t best{};
  int count = 0;
  api.check(api.choose(handle_->get(), operation_, w_, x_, y_, y_, raw, 1, &best, &count), "choosing an algorithm");
  if (count < 1) fail("cuBLASLt: choosing an algorithm: it has none");
  api.check(best.state, "choosing an algorithm");
  algorithm_ = best.algo, workspace_ = best.workspaceSize;
}

void Product::run(const Stream& stream, const void* x, const void* w, float* y, void* workspace) const {
  const Api& api = handle_->api();
  const float one = 1, zero = 0;
  api.check(api.multiply(handle_->get(), operation_, &one, w, w_, x, x_, &zero, y, y_, y, y_, &algorithm_, workspace, workspace_,
                         static_cast<cudaStream_t>(stream.handle())),
            "running a product");
}

void Product::destroy() {
  const Api& api = handle_->api();
  for (const cublasLtMatrixLayout_t layout : {w_, x_, y_})
    if (layout) api.destroy_layout(layout);
  if (operation_) api.destroy_operation(operation_);
}

}  // namespace dn::cuda::cublaslt
