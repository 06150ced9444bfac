#include "device/cuda/cudnn_measure.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/error.h"

namespace dn::cuda::cudnn {
namespace {

constexpr int kWarmUps = 3, kRuns = 5;

void check(cudaError_t status) {
  if (status != cudaSuccess) fail("GPU: measuring convolutions: ", cudaGetErrorString(status));
}

// Time between two points of a stream.
class Stopwatch {
 public:
  explicit Stopwatch(const Stream& stream) : stream_(static_cast<cudaStream_t>(stream.handle())) {
    check(cudaEventCreate(&begin_));
    check(cudaEventCreate(&end_));
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  void start() { check(cudaEventRecord(begin_, stream_)); }
  float stop() {  // milliseconds
    float out = 0;
    check(cudaEventRecord(end_, stream_));
    check(cudaEventSynchronize(end_));
    check(cudaEventElapsedTime(&out, begin_, end_));
    return out;
  }

 private:
  cudaStream_t stream_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

}  // namespace

size_t fastest(Stream& stream, std::span<const std::unique_ptr<Plan>> plans, const ConvProblem& problem) {
  size_t workspace_bytes = 0;
  for (const auto& plan : plans) workspace_bytes = std::max(workspace_bytes, plan->workspace_bytes());
  const size_t weights = static_cast<size_t>(problem.out.c) * static_cast<size_t>(problem.weights_per_filter());
  const auto x = stream.allocate(problem.in.count() * bytes_of(problem.dtype)), y = stream.allocate(problem.out.count() * bytes_of(problem.dtype)),
             w = stream.allocate(weights * bytes_of(problem.dtype)), workspace = stream.allocate(workspace_bytes);
  Stopwatch watch(stream);
  const auto median = [&](const Plan& plan) {
    const auto run = [&] { plan.run(x->data(), w->data(), y->data(), workspace->data()); };
    for (int warm_up = 0; warm_up < kWarmUps; ++warm_up) run();
    std::array<float, kRuns> times{};
    for (float& time : times) {
      watch.start();
      run();
      time = watch.stop();
    }
    std::nth_element(times.begin(), times.begin() + kRuns / 2, times.end());
    return times[kRuns / 2];
  };
  std::optional<size_t> best;
  float best_time = 0;
  std::string refused;
  for (size_t i = 0; i < plans.size(); ++i) try {
      const float time = median(*plans[i]);
      if (!best || time < best_time) best = i, best_time = time;
    } catch (const Error& e) {
      refused = e.what();  // an engine that does not do it after all
    }
  stream.synchronize();
  if (!best) fail(refused);
  return *best;
}

}  // namespace dn::cuda::cudnn
