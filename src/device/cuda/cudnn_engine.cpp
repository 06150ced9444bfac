// Convolutions by cuDNN: a plan each, found again in the cache of choices or chosen anew. Wide ones go through cuBLASLt or are converted beside cuDNN.
#include "base/log.h"
#include "device/cuda/convert.h"
#include "device/cuda/convolution.h"
#include "device/cuda/cublaslt.h"
#include "device/cuda/cudnn_choices.h"
#include "device/cuda/cudnn_measure.h"
#include "device/cuda/cudnn_planner.h"

namespace dn::cuda {
namespace {

using cudnn::Plan;

constexpr int kMostMeasured = 8;
constexpr size_t kWorkspaceAlignment = 256;  // bytes

// cuDNN on one stream.
class Session {
 public:
  explicit Session(const Stream& stream) : api_(cudnn::load()), stream_(stream.handle()) {
    api_->check(api_->create(&handle_), "starting on the GPU");
    if (const cudnnStatus_t status = api_->set_stream(handle_, static_cast<cudaStream_t>(stream_)); status != CUDNN_STATUS_SUCCESS) {
      api_->destroy(handle_);
      api_->check(status, "taking a stream");
    }
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { api_->destroy(handle_); }
  cudnn::Target target() const { return {api_, handle_, nullptr}; }
  void expect(const Stream& stream) const { ensure(stream.handle() == stream_, "convolutions run on the stream that they were made for"); }

 private:
  std::shared_ptr<const cudnn::Api> api_;
  void* stream_;
  cudnnHandle_t handle_ = nullptr;
};

class CudnnConvolution : public Convolution {
 public:
  CudnnConvolution(std::shared_ptr<const Session> session, const cudnn::Planner& planner, std::unique_ptr<Plan> plan, const ConvProblem& problem,
                   ConvDirection direction)
      : session_(std::move(session)),
        planner_(planner),
        problem_(problem),
        direction_(direction),
        workspace_bytes_(plan->workspace_bytes()),
        plan_(std::move(plan)) {}
  size_t workspace_bytes() const override { return workspace_bytes_; }
  DType weights_gradient_type() const override { return problem_.dtype; }  // cuDNN has no engine from 16 bits to FP32
  std::string implementation() const override { return concat("cuDNN ", plan_->choice().text()); }

  // What an engine refuses shows with its first run only; another is taken then.
  void run(Stream& stream, const void* first, const void* second, void* out, void* workspace) const override {
    session_->expect(stream);
    if (proved_) return run_plan(*plan_, first, second, out, workspace);
    try {
      run_plan(*plan_, first, second, out, workspace);
    } catch (const Error& e) {
      plan_ = another(first, second, out, workspace);
      if (!plan_) throw;
      log::warn(concat(e.what(), "; ", problem_.text(), " ", cudnn::direction_name(direction_), ": ", implementation(), " instead"));
    }
    proved_ = true;
  }

 private:
  void run_plan(const Plan& plan, const void* first, const void* second, void* out, void* workspace) const {
    switch (direction_) {
      case ConvDirection::forward: return plan.run(first, second, out, workspace);
      case ConvDirection::backward_data: return plan.run(out, second, first, workspace);
      case ConvDirection::backward_weights: return plan.run(first, out, second, workspace);
    }
  }

  // The next best that runs with as much workspace, and has run; null: none.
  std::unique_ptr<Plan> another(const void* first, const void* second, void* out, void* workspace) const {
    for (auto& plan : planner_.plans(problem_, direction_, kMostMeasured)) {
      if (plan->workspace_bytes() > workspace_bytes_ || plan->choice() == plan_->choice()) continue;
      try {
        run_plan(*plan, first, second, out, workspace);
        return std::move(plan);
      } catch (const Error&) {
        continue;
      }
    }
    return nullptr;
  }

  std::shared_ptr<const Session> session_;
  cudnn::Planner planner_;
  ConvProblem problem_;
  ConvDirection direction_;
  size_t workspace_bytes_;
  mutable std::unique_ptr<Plan> plan_;
  mutable bool proved_ = false;
};

// The FP32 side of a wide problem by way of a 16-bit copy at the beginning of the workspace.
class ConvertedConvolution : public Convolution {
 public:
  ConvertedConvolution(std::unique_ptr<Convolution> narrow, const ConvProblem& problem, ConvDirection direction)
      : narrow_(std::move(narrow)),
        type_(problem.dtype),
        direction_(direction),
        count_(problem.out.count()),
        copy_bytes_(round_up(count_ * bytes_of(type_), kWorkspaceAlignment)) {}
  size_t workspace_bytes() const override { return copy_bytes_ + narrow_->workspace_bytes(); }
  DType weights_gradient_type() const override { return narrow_->weights_gradient_type(); }
  std::string implementation() const override { return concat(narrow_->implementation(), ", converted"); }

  void run(Stream& stream, const void* first, const void* second, void* out, void* workspace) const override {
    void* const rest = static_cast<std::byte*>(workspace) + copy_bytes_;
    if (direction_ == ConvDirection::forward) {
      narrow_->run(stream, first, second, workspace, rest);
      return convert(stream, workspace, type_, out, DType::f32, count_);
    }
    const bool weights = direction_ == ConvDirection::backward_weights;
    convert(stream, weights ? second : first, DType::f32, workspace, type_, count_);
    narrow_->run(stream, weights ? first : workspace, weights ? workspace : second, out, rest);
  }

 private:
  std::unique_ptr<Convolution> narrow_;
  DType type_;
  ConvDirection direction_;
  size_t count_, copy_bytes_;
};

// Forward, 1x1: a product of matrices.
class ProductConvolution : public Convolution {
 public:
  ProductConvolution(std::shared_ptr<const cublaslt::Handle> handle, const ConvProblem& p, size_t workspace_limit)
      : product_(std::move(handle), p.dtype, static_cast<size_t>(p.in.n) * p.in.plane(), static_cast<size_t>(p.in.c), static_cast<size_t>(p.out.c),
                 workspace_limit) {}
  size_t workspace_bytes() const override { return product_.workspace_bytes(); }
  std::string implementation() const override { return "cuBLASLt"; }
  void run(Stream& stream, const void* first, const void* second, void* out, void* workspace) const override {
    product_.run(stream, first, second, static_cast<float*>(out), workspace);
  }

 private:
  cublaslt::Product product_;
};

bool is_product(const ConvProblem& p) { return p.size == 1 && p.stride_x == 1 && p.stride_y == 1 && p.padding == 0 && p.groups == 1; }

class CudnnEngine : public ConvEngine {
 public:
  CudnnEngine(Stream& stream, const ConvRules& rules, const std::string& cache)
      : stream_(stream), rules_(rules), session_(std::make_shared<const Session>(stream)), planner_(session_->target(), rules), choices_(cache) {}

  std::string description() const override { return concat("cuDNN ", cudnn::version_text(planner_.target().api->version)); }
  void save() override {
    measuring_.reset();
    choices_.save();
  }

  std::unique_ptr<Convolution> make(const ConvProblem& problem, ConvDirection direction) override {
    ConvProblem narrow = problem;
    narrow.wide = false;
    const bool converts = problem.wide && problem.dtype != DType::f32;
    if (converts && direction == ConvDirection::forward && is_product(problem))
      if (auto product = make_product(problem)) return product;
    auto plan = choose(narrow, direction);
    if (!plan) {
      log::warn(concat("cuDNN has nothing for the convolution ", problem.text(), " ", cudnn::direction_name(direction),
                       "; it runs through plain kernels, which are many times slower"));
      return plain_convolution(problem, direction);
    }
    auto convolution = std::make_unique<CudnnConvolution>(session_, planner_, std::move(plan), narrow, direction);
    if (!converts) return convolution;
    return std::make_unique<ConvertedConvolution>(std::move(convolution), problem, direction);
  }

 private:
  std::string key(const ConvProblem& problem, ConvDirection direction) const {
    return concat(problem.text(), ", ", cudnn::direction_name(direction), ", ", description(), ", ", stream_.description(),
                  rules_.deterministic ? ", deterministic" : "");
  }

  // Null: none.
  std::unique_ptr<Plan> choose(const ConvProblem& problem, ConvDirection direction) {
    const std::string name = key(problem, direction);
    if (const auto known = choices_.find(name); known && (known->measured || !rules_.measure))
      if (auto plan = planner_.remake(problem, direction, known->engine)) return plan;
    auto plans = planner_.plans(problem, direction, rules_.measure ? kMostMeasured : 1);
    if (plans.empty()) return nullptr;
    size_t best = 0;
    bool measured = false;
    if (rules_.measure) {
      if (!measuring_) measuring_ = std::make_unique<log::Progress>("choosing algorithms by measuring:", 0, "convolutions");
      try {
        best = cudnn::fastest(stream_, plans, problem);
        measured = true;
        measuring_->update(++measured_);
      } catch (const Error& e) {
        log::warn(concat(e.what(), "; a convolution is chosen by cuDNN's heuristics instead"));
      }
    }
    choices_.set(name, {plans[best]->choice(), measured});
    return std::move(plans[best]);
  }

  // Null where there is no cuBLASLt, or where it has no algorithm.
  std::unique_ptr<Convolution> make_product(const ConvProblem& problem) {
    try {
      if (!looked_for_products_) {
        looked_for_products_ = true;
        products_ = std::make_shared<const cublaslt::Handle>(cublaslt::load());
      }
      if (products_) return std::make_unique<ProductConvolution>(products_, problem, rules_.workspace_limit);
    } catch (const Error& e) {
      log::warn(concat(e.what(), "; outputs of heads are rounded to 16 bits on their way"));
    }
    return nullptr;
  }

  std::unique_ptr<log::Progress> measuring_;   // a minute at the first start of a large network
  int64_t measured_ = 0;
  Stream& stream_;
  ConvRules rules_;
  std::shared_ptr<const Session> session_;
  cudnn::Planner planner_;
  cudnn::Choices choices_;
  bool looked_for_products_ = false;
  std::shared_ptr<const cublaslt::Handle> products_;
};

}  // namespace

std::unique_ptr<ConvEngine> cudnn_conv_engine(Stream& stream, const ConvRules& rules, const std::string& cache) {
  return std::make_unique<CudnnEngine>(stream, rules, cache);
}

}  // namespace dn::cuda
