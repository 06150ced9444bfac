// cuDNN's planning for a GPU that is not here: an H200, by its properties. Skipped where there is no cuDNN, or one that cannot do that.
#include <gtest/gtest.h>

#include <iostream>
#include <set>

#include "base/files.h"
#include "device/cuda/cudnn_planner.h"
#include "device/cuda/device.h"
#include "graph/network.h"
#include "layers/convolutional/convolutional.h"

namespace dn::cuda::cudnn {
namespace {

constexpr int kImages = 8;
constexpr ConvDirection kDirections[] = {ConvDirection::forward, ConvDirection::backward_data, ConvDirection::backward_weights};

class CudnnDeviceless : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      target_ = target_of_properties(load(), read_text(fs::path(DN_SOURCE_DIR) / "tests/data/h200_properties.json"));
    } catch (const Error& e) {
      GTEST_SKIP() << e.what();
    }
  }
  Target target_;
};

Shape padded(Shape shape) {
  shape.c = round_up(shape.c, Device::kChannelGroup);
  return shape;
}

// As the convolutions of a network are computed, in training.
std::vector<ConvProblem> convolutions_of(const std::string& cfg) {
  const Network network = Network::from_cfg(fs::path(DN_SOURCE_DIR) / "cfg" / cfg);
  const Shape input = network.input(kImages);
  const std::vector<Shape> outputs = network.output_shapes(input);
  std::vector<ConvProblem> out;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto* const layer = dynamic_cast<const Convolutional*>(network.layers()[i].get());
    if (!layer) continue;
    const Shape in = network.source_shapes(static_cast<int>(i), input, outputs)[0];
    const ConvolutionalSpec& s = layer->spec();
    ConvProblem problem{padded(in), padded(layer->convolved_shape(in)), s.size, s.stride_x, s.stride_y, s.padding, s.dilation, s.groups};
    problem.dtype = DType::bf16;
    out.push_back(problem);
  }
  return out;
}

TEST_F(CudnnDeviceless, EveryConvolutionOfTheYoloNetworksHasADeterministicPlan) {
  const ConvRules rules{.deterministic = true};
  const Planner planner(target_, rules);
  std::set<std::string> seen;
  size_t most_workspace = 0;
  for (const char* cfg : {"yolov3.cfg", "yolov4.cfg", "yolov4-csp.cfg", "yolov7.cfg", "yolov4-tiny.cfg"})
    for (const ConvProblem& problem : convolutions_of(cfg)) {
      if (!seen.insert(problem.text()).second) continue;
      for (const ConvDirection direction : kDirections) {
        const auto plans = planner.plans(problem, direction, 1);
        ASSERT_EQ(plans.size(), 1u) << cfg << ": " << problem.text() << " " << direction_name(direction);
        const EngineNotes notes = plans[0]->notes();
        EXPECT_FALSE(notes.compiles) << cfg << ": " << problem.text() << " " << direction_name(direction);
        EXPECT_FALSE(notes.nondeterministic) << cfg << ": " << problem.text() << " " << direction_name(direction);
        EXPECT_LE(plans[0]->workspace_bytes(), rules.workspace_limit);
        most_workspace = std::max(most_workspace, plans[0]->workspace_bytes());
      }
    }
  EXPECT_GT(seen.size(), 100u);
  std::cout << seen.size() << " different convolutions, at most " << bytes_text(static_cast<double>(most_workspace)) << " of workspace\n";
}

// Shapes of which some need other engines than the usual ones.
std::vector<ConvProblem> unusual() {
  std::vector<ConvProblem> out{{{8, 64, 52, 52}, {8, 64, 52, 52}, 3, 1, 1, 1, 1, 4},
                               {{8, 64, 52, 52}, {8, 64, 52, 52}, 3, 1, 1, 1, 1, 64},
                               {{8, 64, 52, 52}, {8, 64, 52, 52}, 3, 1, 1, 1, 2, 1},
                               {{8, 64, 52, 52}, {8, 64, 26, 52}, 3, 1, 2, 1, 1, 1},
                               {{8, 512, 19, 19}, {8, 1024, 19, 19}, 3, 1, 1, 1, 1, 1}};
  const size_t shapes = out.size();
  for (const DType type : {DType::bf16, DType::f16})
    for (size_t i = 0; i < shapes; ++i) out.push_back(out[i]), out.back().dtype = type;
  for (size_t i = 0; i < shapes; ++i) out.push_back(out[i]), out.back().tensor_cores = false;
  return out;
}

TEST_F(CudnnDeviceless, AChoiceMakesTheSamePlanAgain) {
  const Planner planner(target_, {.deterministic = true});
  for (const ConvProblem& problem : unusual())
    for (const ConvDirection direction : kDirections) {
      const auto plans = planner.plans(problem, direction, 1);
      ASSERT_EQ(plans.size(), 1u) << problem.text() << " " << direction_name(direction);
      const auto again = planner.remake(problem, direction, plans[0]->choice());
      ASSERT_TRUE(again) << problem.text() << " " << direction_name(direction);
      EXPECT_EQ(again->json(), plans[0]->json());
      EXPECT_EQ(again->workspace_bytes(), plans[0]->workspace_bytes());
    }
}

TEST_F(CudnnDeviceless, TheRulesHold) {
  const Planner planner(target_, {.deterministic = true, .workspace_limit = 1 << 20});
  for (const ConvProblem& problem : unusual())
    for (const ConvDirection direction : kDirections)
      for (const auto& plan : planner.plans(problem, direction, 8)) {
        const EngineNotes notes = plan->notes();
        EXPECT_FALSE(notes.nondeterministic) << problem.text();
        EXPECT_FALSE(notes.narrows_sums) << problem.text();
        EXPECT_LE(plan->workspace_bytes(), size_t{1} << 20) << problem.text();
        const bool full_floats = problem.dtype == DType::f32 && !problem.tensor_cores;
        EXPECT_FALSE(full_floats && (notes.tensor_cores || notes.narrows_inputs)) << problem.text();
      }
}

TEST_F(CudnnDeviceless, WhatIsNoConvolutionOrNoChoiceHasNoPlan) {
  const Planner planner(target_, {});
  ConvProblem problem{{8, 64, 52, 52}, {8, 64, 51, 52}, 3, 1, 1, 1, 1, 1};
  EXPECT_TRUE(planner.plans(problem, ConvDirection::forward, 1).empty());
  EXPECT_EQ(planner.remake(problem, ConvDirection::forward, {0, {}}), nullptr);
  problem.out.h = 52;
  EXPECT_EQ(planner.remake(problem, ConvDirection::forward, {99999, {}}), nullptr);
}

}  // namespace
}  // namespace dn::cuda::cudnn
