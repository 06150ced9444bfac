// The networks that people train most, on the GPU of the tests: no layer of them goes back to the host, and a step of the smallest learns what the CPU's does.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "tests/harness/gpu.h"

namespace dn {
namespace {

class CudaZoo : public ::testing::TestWithParam<const char*> {};

TEST_P(CudaZoo, all_layers_have_kernels) {
  cuda::Device device(testing::gpu_options(cuda::Precision::bf16));
  Network network = Network::from_cfg(fs::path(DN_SOURCE_DIR) / "cfg" / concat(GetParam(), ".cfg"));
  const Plan training(network, device, network.input(2, 64, 64), {.training = true, .only_planned = true});
  EXPECT_TRUE(training.report().host_layers.empty());
  const Plan inference(network, device, network.input(1, 64, 64), {.only_planned = true});
  EXPECT_TRUE(inference.report().host_layers.empty());
  // Nor is a residual sum a pass over memory of its own.
  const auto sums = std::ranges::count_if(network.layers(), [](const auto& layer) { return layer->type() == "shortcut"; });
  for (const Plan* plan : {&training, &inference}) EXPECT_EQ(std::ssize(plan->report().summing_layers), sums);
}

INSTANTIATE_TEST_SUITE_P(networks, CudaZoo, ::testing::Values("yolov3", "yolov4", "yolov4-tiny", "yolov4-csp", "yolov7"),
                         [](const auto& test) { return concat(test.index, "_", std::string_view(test.param).substr(0, 6)); });

// Costs of the heads, in layer order, after one step.
std::vector<double> costs_of_a_step(Network& network, Device& device) {
  const Shape input = network.input(2, 96, 96);
  Plan plan(network, device, input, {.training = true});
  std::vector<float> images(input.count());
  Rng rng(1, RandomUse::test);
  for (float& v : images) v = static_cast<float>(rng.uniform());
  const std::vector<std::vector<TruthBox>> truth = {{{{.4f, .5f, .3f, .4f}, 3}}, {{{.6f, .3f, .2f, .2f}, 7}, {{.2f, .7f, .4f, .3f}, 1}}};
  Pass pass{.training = true};
  pass.truth = truth;
  plan.set_input(images.data());
  plan.forward(pass);
  plan.backward(pass);
  std::vector<double> costs;
  for (const int layer : network.head_layers()) costs.push_back(plan.take_losses(layer).cost);
  return costs;
}

TEST(CudaZooStep, yolov4_tiny_learns_what_the_cpu_learns) {
  const auto fresh = [] {
    Network network = Network::from_cfg(fs::path(DN_SOURCE_DIR) / "cfg" / "yolov4-tiny.cfg");
    network.params().initialize(2);
    return network;
  };
  Network on_host = fresh(), on_gpu = fresh();
  cpu::Device host({.threads = 2, .convolution = cpu::ConvAlgorithm::direct});
  cuda::Device gpu(testing::gpu_options(cuda::Precision::fp32));
  const std::vector<double> expected = costs_of_a_step(on_host, host), got = costs_of_a_step(on_gpu, gpu);
  ASSERT_EQ(expected.size(), got.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-4 * expected[i]);
  for (const ParamSegment& segment : on_host.params().segments()) {
    const std::span<const float> a = on_host.params().grads(segment), b = on_gpu.params().grads(segment);
    double difference = 0, size = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
      size += static_cast<double>(a[i]) * a[i];
    }
    EXPECT_LE(difference, 1e-6 * size + 1e-12) << "layer " << segment.layer << " " << segment.spec.name;
  }
}

}  // namespace
}  // namespace dn
