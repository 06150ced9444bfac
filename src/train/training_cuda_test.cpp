// Networks that learn on a GPU against the same on the host: plan and optimizer together, an update that is left out, filters that start anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "tests/harness/gpu.h"
#include "train/optimizer.h"
#include "train/similar_filters.h"

namespace dn {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> copy_of(std::span<const float> values) { return {values.begin(), values.end()}; }

constexpr const char* kNet = R"([net]
batch=4
subdivisions=2
width=16
height=16
max_batches=100
weights_reject_freq=10
[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=12
size=3
stride=2
pad=1
activation=leaky
[convolutional]
batch_normalize=1
filters=16
size=3
pad=1
activation=leaky
[convolutional]
size=1
filters=14
activation=linear
[yolo]
mask=0,1
anchors=4,5, 9,8
classes=2
num=2
)";

TEST(optimizer_on_gpu, similar_filters_start_anew) {
  std::vector<float> results[2], momenta[2];
  cuda::Device device(testing::gpu_options(cuda::Precision::fp32));
  for (const bool gpu : {false, true}) {
    Network net = Network::from_text(kNet);
    net.params().initialize(1);
    ParamStore& params = net.params();
    params.allocate_grads();
    const ParamSegment& weights = *params.of_layer(1).back();
    const size_t each = weights.spec.count / weights.spec.shape[0];
    std::ranges::copy(params.values(weights).first(each), params.values(weights).begin() + static_cast<ptrdiff_t>(3 * each));
    params.touch();
    Optimizer optimizer(params, {.9, 0, 1, {}, 1}, gpu ? &device : nullptr);
    std::ranges::fill(optimizer.velocity(), .25f);
    ASSERT_TRUE(optimizer.update(.01).applied);  // gradients are zero: momentum alone
    const auto renewed = renew_similar_filters(net, optimizer, 10, 1, 0, 1);
    ASSERT_EQ(renewed.size(), 1u);
    EXPECT_EQ(optimizer.velocity()[weights.offset + renewed[0].filter * each], 0.f);
    ASSERT_TRUE(optimizer.update(.01).applied);
    results[gpu] = copy_of(params.values());
    momenta[gpu] = copy_of(optimizer.velocity());
  }
  const Network net = Network::from_text(kNet);
  for (const ParamSegment& s : net.params().segments())
    for (size_t i = s.offset; i < s.offset + s.spec.count; ++i) {
      ASSERT_EQ(results[0][i], results[1][i]) << i;
      ASSERT_EQ(momenta[0][i], momenta[1][i]) << i;
    }
}

// A run of some iterations through plans; the images of `broken` are not finite.
struct Training {
  std::vector<float> values;
  std::vector<bool> applied;
  std::vector<int64_t> moved;  // running statistics of layer 0, after each iteration
};

Training train(Device& device, bool adam, int iterations, int broken) {
  Network net = Network::from_text(kNet);
  net.params().initialize(1);
  Plan plan(net, device, net.input(2), {.training = true});
  OptimizerOptions options{.9, .0005, 4, {}, 2};
  if (adam) options.adam = AdamOptions{};
  Optimizer optimizer(net.params(), options, &device);
  const std::vector<std::vector<TruthBox>> truth = {{{{.5f, .4f, .3f, .2f}, 0}}, {{{.3f, .6f, .2f, .3f}, 1}}};
  Training run;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    optimizer.begin_batch();
    for (int part = 0; part < 2; ++part) {
      std::vector<float> images(plan.input_shape().count());
      Rng rng(5, RandomUse::test, static_cast<uint64_t>(2 * iteration + part));
      for (float& v : images) v = static_cast<float>(rng.uniform());
      if (iteration == broken) images[7] = kNan;
      Pass pass{.training = true};
      pass.param_grads = part == 0 ? Write::overwrite : Write::accumulate;
      pass.micro_step = part;
      pass.micro_steps = 2;
      pass.iteration = static_cast<uint64_t>(iteration);
      pass.weights_version = net.params().version();
      pass.truth = truth;
      plan.set_input(images.data());
      plan.forward(pass);
      plan.backward(pass);
    }
    run.applied.push_back(optimizer.update(adam ? .001 : .01, 0, iteration + 1).applied);
    run.moved.push_back(net.params().norm_updates(0));
  }
  run.values = copy_of(net.params().values());
  return run;
}

TEST(optimizer_on_gpu, a_network_learns_the_same) {
  cpu::Device host({.threads = 2});
  cuda::Device gpu(testing::gpu_options(cuda::Precision::fp32));
  for (const bool adam : {false, true}) {
    const Training here = train(host, adam, 4, 1), there = train(gpu, adam, 4, 1);
    EXPECT_EQ(there.applied, std::vector<bool>({true, false, true, true}));
    EXPECT_EQ(here.applied, there.applied);
    EXPECT_EQ(here.moved, there.moved);
    ASSERT_EQ(here.values.size(), there.values.size());
    double largest = 0;
    for (size_t i = 0; i < here.values.size(); ++i) {
      ASSERT_TRUE(std::isfinite(there.values[i]));
      largest = std::max(largest, static_cast<double>(std::abs(there.values[i] - here.values[i])));
    }
    EXPECT_LT(largest, 1e-3) << adam;
    RecordProperty(adam ? "adam" : "sgd", concat(largest));
  }
}

}  // namespace
}  // namespace dn
