// The engine on the GPU that $DN_GPU names, judged by the plain kernels on the same GPU. Skipped without.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>

#include "base/files.h"
#include "device/cuda/convolution.h"
#include "device/cuda/cudnn_planner.h"
#include "tests/harness/convolutions.h"
#include "tests/harness/gpu.h"

namespace dn::cuda {
namespace {

constexpr ConvDirection kDirections[] = {ConvDirection::forward, ConvDirection::backward_data, ConvDirection::backward_weights};

ConvProblem problem(const Shape& in, int filters, int size, int stride_x, int stride_y, int padding, int dilation, int groups) {
  const int reach = dilation * (size - 1) + 1, both = 2 * padding * dilation;
  return {
      in,    {in.n, filters, (in.h + both - reach) / stride_y + 1, (in.w + both - reach) / stride_x + 1}, size, stride_x, stride_y, padding, dilation,
      groups};
}

std::vector<ConvProblem> problems() {
  return {problem({2, 8, 32, 32}, 32, 3, 1, 1, 1, 1, 1),   problem({4, 64, 26, 26}, 128, 3, 1, 1, 1, 1, 1),
          problem({2, 32, 40, 40}, 64, 3, 2, 2, 1, 1, 1),  problem({2, 128, 19, 19}, 64, 1, 1, 1, 0, 1, 1),
          problem({2, 64, 20, 20}, 256, 1, 1, 1, 0, 1, 1), problem({1, 64, 21, 23}, 64, 3, 1, 1, 1, 2, 1),
          problem({2, 64, 20, 20}, 64, 3, 1, 1, 1, 1, 4),  problem({2, 64, 20, 20}, 64, 3, 1, 1, 1, 1, 64),
          problem({2, 32, 24, 20}, 32, 3, 1, 2, 1, 1, 1),  problem({1, 16, 17, 17}, 24, 5, 2, 2, 2, 1, 1)};
}

// Of the squares of all values, what may be wrong: rounding of what is read and written.
struct Kind {
  const char* name;
  DType type;
  bool tensor_cores, wide;
  double error;
};
constexpr Kind kKinds[] = {{"fp32", DType::f32, false, false, 1e-9},     {"tf32", DType::f32, true, false, 1e-5},
                           {"bf16", DType::bf16, true, false, 3e-5},     {"fp16", DType::f16, true, false, 1e-6},
                           {"bf16_wide", DType::bf16, true, true, 3e-5}, {"fp16_wide", DType::f16, true, true, 1e-6}};

class CudnnEngineOnGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::on_real_gpu()) GTEST_SKIP() << "$DN_GPU names no GPU";
    stream_ = open_stream(testing::gpu_options(Precision::bf16).gpu);
  }
  std::vector<float> run(const Convolution& convolution, const ConvProblem& p, ConvDirection direction) {
    const auto x = testing::random_values(p.in.count(), p.dtype, 1), w = testing::random_values(testing::weight_count(p), p.dtype, 2),
               dy = testing::random_values(p.out.count(), testing::type_of_y(p), 3);
    const bool data = direction == ConvDirection::backward_data, weights = direction == ConvDirection::backward_weights;
    return testing::run_convolution(*stream_, convolution, p, direction, data ? dy : x, weights ? dy : w);
  }
  // Every problem in every precision and direction; what plain kernels had to do is not compared with themselves.
  void compare_all(ConvEngine& engine) {
    for (ConvProblem p : problems())
      for (const Kind& kind : kKinds)
        for (const ConvDirection direction : kDirections) {
          p.dtype = kind.type, p.tensor_cores = kind.tensor_cores, p.wide = kind.wide;
          const auto convolution = engine.make(p, direction);
          EXPECT_NE(convolution->implementation(), "plain") << p.text();
          const auto got = run(*convolution, p, direction), expected = run(*plain_convolution(p, direction), p, direction);
          double wrong = 0, all = 0;
          for (size_t i = 0; i < got.size(); ++i) wrong += std::pow(got[i] - expected[i], 2), all += std::pow(expected[i], 2);
          EXPECT_LE(wrong, kind.error * all) << p.text() << ", direction " << static_cast<int>(direction) << ": " << convolution->implementation();
          EXPECT_EQ(got, run(*convolution, p, direction)) << "other bits the second time: " << p.text();
        }
  }
  std::unique_ptr<Stream> stream_;
};

TEST_F(CudnnEngineOnGpu, ComputesWhatThePlainKernelsDo) {
  const auto engine = cudnn_conv_engine(*stream_, {.deterministic = true}, "");
  compare_all(*engine);
}

TEST_F(CudnnEngineOnGpu, MeasuresAndRemembers) {
  const fs::path file = fs::temp_directory_path() / concat("dn_cudnn_", static_cast<int>(::getpid()), ".json");
  const ConvRules rules{.deterministic = true, .measure = true};
  std::vector<std::string> chosen;
  for (int round = 0; round < 2; ++round) {
    const auto engine = cudnn_conv_engine(*stream_, rules, file.string());
    size_t at = 0;
    for (ConvProblem p : problems())
      for (const ConvDirection direction : kDirections) {
        p.dtype = DType::bf16;
        const auto convolution = engine->make(p, direction);
        if (round == 0) chosen.push_back(convolution->implementation());
        EXPECT_EQ(convolution->implementation(), chosen[at++]) << p.text();
      }
    engine->save();
  }
  fs::remove(file);
}

// So that what is planned without a GPU is what one would do. DN_UPDATE=1 writes the properties of an H200 down.
TEST_F(CudnnEngineOnGpu, ItsPropertiesPlanWhatItPlans) {
  const auto api = cudnn::load();
  cudnnHandle_t handle = nullptr;
  api->check(api->create(&handle), "starting on the GPU");
  {
    const std::string json = cudnn::properties_of(api, handle);
    if (std::getenv("DN_UPDATE") && json.find("H200") != json.npos)
      write_file(fs::path(DN_SOURCE_DIR) / "tests/data/h200_properties.json", json + "\n");
    const cudnn::Planner here({api, handle, nullptr}, {.deterministic = true}),
        anywhere(cudnn::target_of_properties(api, json), {.deterministic = true});
    for (ConvProblem p : problems())
      for (const ConvDirection direction : kDirections) {
        p.dtype = DType::bf16;
        const auto one = here.plans(p, direction, 1), other = anywhere.plans(p, direction, 1);
        ASSERT_EQ(one.size(), other.size()) << p.text();
        for (size_t i = 0; i < one.size(); ++i) EXPECT_EQ(one[i]->choice().text(), other[i]->choice().text()) << p.text();
      }
  }
  api->destroy(handle);
}

TEST_F(CudnnEngineOnGpu, WorksInARecording) {
  const auto engine = cudnn_conv_engine(*stream_, {.deterministic = true}, "");
  ConvProblem p = problem({2, 64, 20, 20}, 256, 1, 1, 1, 0, 1, 1);
  p.dtype = DType::bf16;
  for (const bool wide : {false, true}) {
    p.wide = wide;
    const auto convolution = engine->make(p, ConvDirection::forward);
    const auto x = stream_->allocate(p.x_desc().bytes()), w = stream_->allocate(testing::weight_count(p) * 2),
               y = stream_->allocate(p.y_desc().bytes()), workspace = stream_->allocate(convolution->workspace_bytes());
    stream_->fill(x->data(), 0x3c, x->bytes());
    stream_->fill(w->data(), 0x3c, w->bytes());
    const auto step = [&] { convolution->run(*stream_, x->data(), w->data(), y->data(), workspace->data()); };
    step();
    std::vector<std::byte> first(y->bytes()), again(y->bytes());
    stream_->to_host(first.data(), y->data(), first.size());
    const auto recording = stream_->record(step);
    stream_->fill(y->data(), 0, y->bytes());
    recording->replay();
    stream_->to_host(again.data(), y->data(), again.size());
    stream_->synchronize();
    EXPECT_EQ(first, again);
  }
}

}  // namespace
}  // namespace dn::cuda
