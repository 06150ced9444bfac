// [history] against its reference and differences; what it keeps from call to call.
#include <gtest/gtest.h>

#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/history/history_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

std::vector<double> reference(const Layer& layer, std::span<const testing::RefTensor> x, std::span<const std::vector<double>>, const Shape&,
                              bool training) {
  const History& history = static_cast<const History&>(layer);
  return history_reference(history, x[0].shape, x[0].v, training ? history.spec().time_steps : 1);
}

void check(int steps, int size, const Shape& shape) {
  testing::check_layer(concat("width=8\nheight=8\ntime_steps=", steps, "\n[history]\nhistory_size=", size), {shape}, reference);
}

TEST(history, frames_side_by_side) {
  check(1, 4, {2, 5, 4, 3});
  check(2, 3, {4, 16, 3, 3});
  check(3, 2, {6, 5, 2, 3});
  check(4, 4, {8, 3, 3, 2});
  check(4, 1, {4, 8, 2, 2});
  check(4, 6, {4, 9, 2, 2});
}

TEST(history, frames_last_from_call_to_call) {
  const Network network = Network::from_text("[net]\nwidth=2\nheight=1\nchannels=1\n[history]\nhistory_size=3\n");
  cpu::Device device({.threads = 1});
  Plan plan(const_cast<Network&>(network), device, network.input(1), {});
  const auto run = [&](float value, bool continues) {
    const float image[] = {value, -value};
    plan.set_input(image);
    plan.forward({.continues = continues});
    const Tensor y = plan.output(0);
    EXPECT_EQ(y.desc.shape, (Shape{1, 3, 1, 2}));
    for (int c = 0; c < 3; ++c) EXPECT_EQ(y.at(0, c, 0, 1), -y.at(0, c, 0, 0));
    return std::vector<float>{y.at(0, 0, 0, 0), y.at(0, 1, 0, 0), y.at(0, 2, 0, 0)};
  };
  using Values = std::vector<float>;
  EXPECT_EQ(run(1, false), (Values{1, 0, 0}));
  EXPECT_EQ(run(2, true), (Values{2, 1, 0}));
  EXPECT_EQ(run(3, true), (Values{3, 2, 1}));
  EXPECT_EQ(run(4, true), (Values{4, 3, 2}));
  EXPECT_EQ(run(5, false), (Values{5, 0, 0}));
}

TEST(history, training_goes_on_with_a_sequence) {
  const std::string head = "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n";
  Network network = Network::from_text("[net]\nbatch=2\nwidth=1\nheight=1\nchannels=1\ntime_steps=2\n[history]\nhistory_size=4\n" + head);
  cpu::Device device({.threads = 1});
  Plan plan(network, device, network.input(4), {.training = true, .keep_outputs = true});
  const std::vector<TruthBox> boxes[4];
  const float first[] = {1, -1, 2, -2}, second[] = {3, -3, 4, -4};  // two sequences of two frames
  plan.set_input(first);
  plan.forward({.training = true, .truth = boxes});
  plan.set_input(second);
  plan.forward({.training = true, .truth = boxes, .continues = true});
  const Tensor y = plan.output(0);
  for (int n = 0; n < 4; ++n)
    for (int back = 0; back < 4; ++back) {
      const float frame = static_cast<float>(3 + n / 2 - back);
      EXPECT_EQ(y.at(n, back, 0, 0), frame * (n % 2 == 0 ? 1.f : -1.f)) << n << " " << back;
    }
}

TEST(history, refusals) {
  EXPECT_NE(testing::layer_error("[history]\nhistory_size=0", {{1, 4, 4, 4}}).find("history_size = 0: expected 1..1024"), std::string::npos);
  EXPECT_NE(testing::layer_error("[history]\nhistory_size=1024", {{1, 4096, 1, 1}}).find("expected at most"), std::string::npos);
}

}  // namespace
}  // namespace dn
