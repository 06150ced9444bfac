// Whole networks on the GPU of the tests (tests/harness/gpu.h) beside the CPU: training step by step in every normalization scope, recordings against
// single steps, plans that compute again, slices.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "tests/harness/gpu.h"
#include "tests/harness/tensors.h"
#include "train/batch_schedule.h"
#include "train/optimizer.h"

namespace dn {
namespace {

constexpr int kBatch = 4;
constexpr double kRate = 2e-4;   // small, for a step's rounding to stay small: training drives neighbours apart

// Every section of the yolo family, small.
std::string network_text(const std::string& net_keys, int subdivisions = 2) {
  const auto conv = [](int filters, int size, int stride, const char* activation) {
    return concat("[convolutional]\nbatch_normalize=1\nfilters=", filters, "\nsize=", size, "\nstride=", stride, "\npad=1\nactivation=", activation, "\n");
  };
  return concat("[net]\nbatch=", kBatch, "\nsubdivisions=", subdivisions, "\nwidth=32\nheight=32\nchannels=3\n", net_keys, "\n",  //
                conv(8, 3, 2, "mish"), conv(16, 3, 2, "leaky"), conv(8, 1, 1, "swish"), conv(16, 3, 1, "leaky"),           // 0..3
                "[shortcut]\nfrom=-3\nactivation=linear\n",                                                               // 4
                "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n", conv(8, 3, 1, "leaky"), "[route]\nlayers=-1,-3\n",           // 5..7
                "[maxpool]\nsize=2\nstride=2\n", conv(16, 3, 1, "mish"),                                                  // 8, 9
                "[maxpool]\nsize=5\nstride=1\n[route]\nlayers=-1,-2\n", conv(12, 1, 1, "leaky"),                           // 10..12
                "[convolutional]\nfilters=21\nsize=1\nstride=1\npad=1\nactivation=linear\n",                              // 13
                "[yolo]\nmask=0,1,2\nanchors=4,5, 8,7, 12,14\nclasses=2\nnum=3\nignore_thresh=.7\niou_loss=ciou\niou_normalizer=.07\nscale_x_y=1.05\n",
                "[route]\nlayers=12\n", conv(8, 1, 1, "leaky"), "[upsample]\nstride=2\n[route]\nlayers=-1,7\n", conv(16, 3, 1, "relu"),
                "[convolutional]\nfilters=21\nsize=1\nstride=1\npad=1\nactivation=linear\n",
                "[yolo]\nmask=0,1,2\nanchors=4,5, 8,7, 12,14\nclasses=2\nnum=3\nignore_thresh=.7\n");
}

struct Trained {
  std::vector<float> values;
  std::vector<double> losses;   // of all iterations and heads
  PlanReport report;
};

std::vector<std::vector<TruthBox>> truths_of(uint64_t iteration) {
  Rng rng(5, RandomUse::test, iteration);
  std::vector<std::vector<TruthBox>> truths(kBatch);
  for (auto& image : truths)
    for (int i = 0; i < 3; ++i)
      image.push_back({{static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.1, .6)),
                        static_cast<float>(rng.uniform(.1, .6))},
                       static_cast<int>(rng.below(2))});
  return truths;
}

Trained train(const std::string& text, Device& device, int iterations, PlanOptions options = {}) {
  Network network = Network::from_text(text);
  network.params().initialize(3);
  for (const ParamSegment& segment : network.params().segments())   // where they are not learned they must mean something
    if (segment.spec.role == ParamRole::running_variance) std::ranges::fill(network.params().values(segment), 1.0f);
  network.params().touch();
  const int parts = network.spec().parts();
  options.training = true;
  Plan plan(network, device, network.input(kBatch / parts), options);
  network.params().allocate_grads();
  Optimizer optimizer(network.params(), {.momentum = .9, .decay = 5e-4, .batch = kBatch, .layers = {}, .threads = 1});
  Trained out;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    Rng rng(4, RandomUse::test, static_cast<uint64_t>(iteration));
    std::vector<float> images(network.input(kBatch).count());
    for (float& v : images) v = static_cast<float>(rng.uniform());
    const auto truths = truths_of(static_cast<uint64_t>(iteration));
    optimizer.begin_batch();
    for (const BatchStep& work : batch_schedule(network.spec())) {
      const size_t first = static_cast<size_t>(work.mini_batch * (kBatch / parts));
      Pass pass{.training = true};
      pass.stage = work.stage, pass.param_grads = work.param_grads;
      pass.micro_step = work.mini_batch, pass.micro_steps = parts;
      pass.iteration = static_cast<uint64_t>(iteration);
      pass.first_image = first;
      pass.truth = std::span(truths).subspan(first, static_cast<size_t>(kBatch / parts));
      plan.set_input(images.data() + first * network.input(1).count());
      plan.forward(pass);
      if (work.backward) plan.backward(pass);
    }
    for (const int layer : network.head_layers()) out.losses.push_back(plan.take_losses(layer).cost);
    EXPECT_TRUE(optimizer.update(kRate).applied);
  }
  const std::span<const float> values = network.params().values();
  out.values.assign(values.begin(), values.end());
  out.report = plan.report();
  return out;
}

void expect_same_training(const std::string& text, int iterations, PlanOptions options = {}) {
  cpu::Device host({.threads = 1, .convolution = cpu::ConvAlgorithm::direct});
  cuda::Device gpu(testing::gpu_options(cuda::Precision::fp32));
  const Trained expected = train(text, host, iterations), got = train(text, gpu, iterations, options);
  EXPECT_LT(testing::distance(expected.values, got.values), 5e-5);
  ASSERT_EQ(expected.losses.size(), got.losses.size());
  for (size_t i = 0; i < expected.losses.size(); ++i) EXPECT_NEAR(got.losses[i], expected.losses[i], 2e-4 * std::abs(expected.losses[i])) << "loss " << i;
}

TEST(CudaTraining, twenty_iterations_equal_the_cpu) { expect_same_training(network_text(""), 20); }

TEST(CudaTraining, every_norm_scope_equals_the_cpu) {
  for (const char* keys : {"norm_scope=cmbn", "norm_scope=cmbn\nnorm_grad=local", "norm_scope=cmbn\nnorm_grad=detached", "norm_scope=twopass",
                           "norm_scope=cmbn\nnorm_grad=exact", "norm_scope=batch", "norm_scope=window\nnorm_window=2", "norm_frozen=stats", "norm=gn", "norm=ln", "norm=in",
                           "norm=brn", "norm=lnc", "norm=frn"}) {
    SCOPED_TRACE(keys);
    expect_same_training(network_text(keys, std::string_view(keys) == "norm_scope=batch" ? 1 : 2), 3);
  }
}

TEST(CudaTraining, a_whole_batch_in_segments_equals_the_cpu) {
  PlanOptions segments;
  segments.segments = 3;
  expect_same_training(network_text("norm_scope=batch", 1), 3, segments);
}

TEST(CudaTraining, recordings_repeat_single_steps_bit_for_bit) {
  for (const cuda::Precision precision : {cuda::Precision::fp32, cuda::Precision::bf16}) {
    cuda::DeviceOptions options = testing::gpu_options(precision);
    cuda::Device recorded(options);
    options.recordings = false;
    cuda::Device stepwise(options);
    const Trained a = train(network_text("norm_scope=cmbn"), recorded, 4), b = train(network_text("norm_scope=cmbn"), stepwise, 4);
    EXPECT_EQ(a.values, b.values);
    EXPECT_EQ(a.losses, b.losses);
  }
}

// Gradients of the last of some batches, between which the running statistics are estimated (norm precise) from more mini-batches than a batch has.
std::vector<float> train_around_estimates(bool recordings) {
  cuda::DeviceOptions options = testing::gpu_options(cuda::Precision::fp32);
  options.recordings = recordings;
  cuda::Device device(options);
  Network network = Network::from_text(network_text("norm_scope=cmbn\nnorm_grad=exact"));
  network.params().initialize(3);
  Plan plan(network, device, network.input(kBatch / 2), {.training = true});
  network.params().allocate_grads();
  Rng rng(4, RandomUse::test);
  std::vector<float> images(network.input(kBatch).count());
  for (float& v : images) v = static_cast<float>(rng.uniform());
  const auto truths = truths_of(0);
  const auto forward = [&](Pass& pass, int mini_batch) {
    const size_t first = static_cast<size_t>(mini_batch * kBatch / 2);
    pass.truth = std::span(truths).subspan(first, kBatch / 2);
    plan.set_input(images.data() + first * network.input(1).count());
    plan.forward(pass);
  };
  for (int batch = 0; batch < 4; ++batch) {
    for (const BatchStep& work : batch_schedule(network.spec())) {
      Pass pass{.training = true};
      pass.stage = work.stage, pass.param_grads = work.param_grads, pass.micro_step = work.mini_batch, pass.micro_steps = 2;
      forward(pass, work.mini_batch);
      if (work.backward) plan.backward(pass);
    }
    for (int i = 0; batch == 2 && i < 600; i += 599) {
      Pass pass{.training = true};
      pass.stage = Pass::Stage::estimate, pass.param_grads = Write::none, pass.micro_step = i, pass.micro_steps = 600;
      forward(pass, 0);
    }
  }
  const std::span<const float> grads = network.params().grads();
  return {grads.begin(), grads.end()};
}

TEST(CudaTraining, estimates_leave_recorded_steps_their_memory) { EXPECT_EQ(train_around_estimates(true), train_around_estimates(false)); }

TEST(CudaTraining, bf16_stays_near_fp32) {
  cuda::Device exact(testing::gpu_options(cuda::Precision::fp32)), rounded(testing::gpu_options(cuda::Precision::bf16));
  const Trained a = train(network_text(""), exact, 5), b = train(network_text(""), rounded, 5);
  for (size_t i = 0; i < a.losses.size(); ++i) EXPECT_NEAR(b.losses[i], a.losses[i], .05 * std::abs(a.losses[i])) << "loss " << i;
}

}  // namespace
}  // namespace dn
