// Matrix products by cuBLASLt of 16-bit numbers into FP32, for the 1x1 convolutions of heads.
#pragma once

#include <cublasLt.h>

#include <memory>
#include <string>

#include "device/cuda/library.h"
#include "device/cuda/stream.h"

namespace dn::cuda::cublaslt {

struct Functions {
  size_t version = 0;  // 130002 is 13.0.2
  decltype(&cublasLtGetStatusString) status_string = nullptr;
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmulDescCreate) create_operation = nullptr;
  decltype(&cublasLtMatmulDescDestroy) destroy_operation = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_operation = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose = nullptr;
  decltype(&cublasLtMatmul) multiply = nullptr;
};

struct Api : Functions {
  Api(const Functions& functions, Library opened) : Functions(functions), library(std::move(opened)) {}
  Library library;
  // Throws Error "cuBLASLt: DOING: REASON" when the call failed.
  void check(cublasStatus_t status, const char* doing) const;
};

// Throws Error, one line, when there is none of version 12 or later.
std::shared_ptr<const Api> load(const std::vector<LibraryPlace>& places = library_places());

// cuBLASLt on the GPU that is the current one.
class Handle {
 public:
  explicit Handle(std::shared_ptr<const Api> api);
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle();
  const Api& api() const { return *api_; }
  cublasLtHandle_t get() const { return it_; }

 private:
  std::shared_ptr<const Api> api_;
  cublasLtHandle_t it_ = nullptr;
};

// y = x w^T for row-major x [rows, inner], w [columns, inner], y [rows, columns]; x and w of a 16-bit type, y and the sums in FP32. The algorithm is
// chosen once and adds in a fixed order.
class Product {
 public:
  Product(std::shared_ptr<const Handle> handle, DType type, size_t rows, size_t inner, size_t columns, size_t workspace_limit);
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  ~Product();
  size_t workspace_bytes() const { return workspace_; }
  void run(const Stream& stream, const void* x, const void* w, float* y, void* workspace) const;

 private:
  void describe(cudaDataType_t type, size_t rows, size_t inner, size_t columns);
  void choose(size_t workspace_limit);
  void destroy();

  std::shared_ptr<const Handle> handle_;
  cublasLtMatmulDesc_t operation_ = nullptr;
  cublasLtMatrixLayout_t w_ = nullptr, x_ = nullptr, y_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  size_t workspace_ = 0;
};

}  // namespace dn::cuda::cublaslt
