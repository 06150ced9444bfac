// [crnn] against its reference and differences through time: steps, sequences, normalization, shortcut, groups, stride; its state at inference; running
// statistics; parameters in the file's order; time_steps in a network; refusals.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/convolutional/convolutional_ref.h"
#include "layers/crnn/crnn_ref.h"
#include "nn/normalize_ref.h"
#include "tests/harness/check_layer.h"
#include "tests/harness/sequences.h"

namespace dn {
namespace {

using testing::frames;
using testing::kSequenceHead;
using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> params, const Shape&,
                              bool training) {
  const Crnn& crnn = static_cast<const Crnn&>(layer);
  const auto convolve = [&](int which, const std::vector<double>& v, const Shape& in) {
    size_t first = 0;
    for (int before = 0; before < which; ++before) first += crnn.part_params(before, x[0].shape).size();
    const auto p = params.subspan(first, crnn.part_params(which, x[0].shape).size());
    const auto& conv = static_cast<const Convolutional&>(crnn.part(which));
    const Shape out = conv.output_shape({&in, 1});
    std::vector<double> y = convolution_ref(conv.spec(), in, out, v, p.back());
    normalize_ref<double>(conv.norm(), out, y, p[0], p.subspan(1), !training, conv.activation());
    return y;
  };
  return crnn_reference(crnn, x[0].shape, x[0].v, training ? crnn.time_steps() : 1, convolve);
}

void check(int steps, const std::string& keys, const Shape& shape, testing::CheckOptions options = {}) {
  testing::check_layer(concat("width=8\nheight=8\ntime_steps=", steps, "\n[crnn]\n", keys), {shape}, reference, options);
}

std::string error_of(const std::string& keys) {
  try {
    testing::parse_layer("[crnn]\n" + keys, 1);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(crnn, through_time) {
  check(3, "hidden=6\noutput=9\npad=1\nactivation=leaky", {6, 5, 4, 3});
  check(4, "hidden=8\noutput=16\npad=1\nactivation=tanh\nshortcut=1", {4, 16, 3, 3});
  check(2, "hidden=20\noutput=4\nsize=1\nactivation=linear", {6, 8, 2, 3});
  check(2, "hidden=8\noutput=8\npad=1\ngroups=2\nstride=2\nactivation=mish", {2, 8, 6, 5});
}

TEST(crnn, one_step) { check(1, "hidden=6\noutput=9\npad=1\nactivation=leaky", {2, 5, 4, 3}); }

TEST(crnn, normalized) {
  testing::CheckOptions options;
  options.gradient_tolerance = 3e-4;
  check(3, "hidden=6\noutput=9\npad=1\nbatch_normalize=1\nactivation=leaky", {9, 5, 4, 3}, options);
  check(3, "hidden=16\noutput=8\npad=1\nbatch_normalize=1\nactivation=logistic\nshortcut=1", {6, 8, 4, 4}, options);
  check(2, "hidden=8\noutput=8\npad=1\nnorm=gn\nnorm_groups=2\nactivation=leaky", {4, 8, 4, 4}, options);
}

const std::string kNet =
    "[net]\nbatch=4\nsubdivisions=2\nwidth=6\nheight=6\nchannels=3\ntime_steps=3\n[crnn]\nbatch_normalize=1\npad=1\nhidden=8\noutput=8\nactivation="
    "leaky\n";

TEST(crnn, state_lasts_from_call_to_call) {
  Network network = Network::from_text(kNet);
  network.params().initialize(4);
  for (const ParamSegment* segment : network.params().of_layer(0))
    if (segment->spec.role == ParamRole::running_variance) std::ranges::fill(network.params().values(*segment), 1.f);
  network.params().touch();
  cpu::Device device({.threads = 2});
  Plan plan(network, device, network.input(1), {});
  const std::vector<float> images = frames(network.input(2));
  const auto run = [&](size_t image, bool continues) {
    plan.set_input(images.data() + image * network.input(1).count());
    plan.forward({.continues = continues});
    const Tensor y = plan.output(0);
    return std::vector<float>(y.data, y.data + y.desc.count());
  };
  const std::vector<float> first = run(0, false), second = run(1, true), third = run(1, true);
  EXPECT_NE(second, third);
  EXPECT_EQ(run(0, false), first);
  EXPECT_EQ(run(1, true), second);
  EXPECT_NE(run(1, false), second);
}

// The zero state in front of the first step would draw them towards zero.
TEST(crnn, first_step_leaves_no_statistics) {
  Network network = Network::from_text(kNet + kSequenceHead);
  network.params().initialize(4);
  cpu::Device device({.threads = 2});
  Plan plan(network, device, network.input(6), {.training = true});
  const std::vector<float> images = frames(network.input(6));
  plan.set_input(images.data());
  const std::vector<TruthBox> boxes[6];
  plan.forward({.training = true, .truth = boxes});
  const auto specs = network.params().of_layer(0);
  const auto variance = std::ranges::find_if(specs, [](const ParamSegment* s) { return s->spec.name == "self_rolling_variance"; });
  ASSERT_NE(variance, specs.end());
  const auto values = network.params().values(**variance);
  EXPECT_GT(*std::ranges::min_element(values), 0.f);
  EXPECT_EQ(network.params().norm_updates(0), 1);
}

// Statistics taken for their own sake are those of all steps but the first, of all mini-batches: the mean of the means that the steps of one leave in an
// average over all updates, however often it is met.
TEST(crnn, estimated_statistics_know_nothing_of_the_zero_state) {
  const auto self_mean = [](int estimates) {
    std::string text = kNet + kSequenceHead;
    Network network = Network::from_text(text.insert(text.find("pad=1"), "norm_warm=1\n"));
    network.params().initialize(4);
    cpu::Device device({.threads = 2});
    Plan plan(network, device, network.input(6), {.training = true});
    const std::vector<float> images = frames(network.input(6));
    plan.set_input(images.data());
    const std::vector<TruthBox> boxes[6];
    for (int m = 0; m < estimates; ++m)
      plan.forward({.training = true, .param_grads = Write::none, .micro_step = m, .micro_steps = estimates, .truth = boxes, .stage = Pass::Stage::estimate});
    if (estimates == 0) plan.forward({.training = true, .truth = boxes});
    const auto specs = network.params().of_layer(0);
    const auto mean = std::ranges::find_if(specs, [](const ParamSegment* s) { return s->spec.name == "self_rolling_mean"; });
    const auto values = network.params().values(**mean);
    return std::vector<float>(values.begin(), values.end());
  };
  const std::vector<float> expected = self_mean(0);
  for (const int estimates : {1, 2, 3}) {
    const std::vector<float> got = self_mean(estimates);
    for (size_t c = 0; c < expected.size(); ++c) EXPECT_NEAR(got[c], expected[c], 1e-6) << estimates << " mini-batches, channel " << c;
  }
}

// Two mini-batches of three frames, the second going on, are one of six.
TEST(crnn, training_goes_on_with_a_sequence) {
  const std::string section = "[crnn]\npad=1\nhidden=8\noutput=8\nshortcut=1\n";
  EXPECT_EQ(testing::outputs_over_six_frames(section, 6), testing::outputs_over_six_frames(section, 3));
}

// A second forward pass, in backward, finds the statistics of the first and moves none.
TEST(crnn, can_be_computed_again) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=leaky\n";
  const std::string text = std::string(kNet).insert(kNet.find("[crnn]"), conv + conv) + conv + conv + kSequenceHead;
  std::vector<std::vector<float>> results;
  for (const int segments : {0, 2}) {
    Network network = Network::from_text(text);
    network.params().initialize(4);
    cpu::Device device({.threads = 2});
    Plan plan(network, device, network.input(6), {.training = true, .segments = segments});
    EXPECT_EQ(plan.report().again > 0, segments > 0);
    const std::vector<float> images = frames(network.input(6));
    plan.set_input(images.data());
    const std::vector<TruthBox> boxes[6];
    plan.forward({.training = true, .truth = boxes});
    plan.backward({.training = true, .truth = boxes});
    const auto grads = network.params().grads();
    results.emplace_back(grads.begin(), grads.end());
    const std::vector<float> statistics = network.params().statistics();
    results.back().insert(results.back().end(), statistics.begin(), statistics.end());
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST(crnn, parameters_in_the_files_order) {
  const Shape in{1, 3, 6, 6};
  const auto params = testing::parse_layer("[crnn]\nbatch_normalize=1\npad=1\nhidden=8\noutput=16", 1)->params({&in, 1});
  std::vector<std::string> names;
  for (const ParamSpec& spec : params) names.push_back(spec.name);
  const std::vector<std::string> expected{"in_biases",   "in_scales",   "in_rolling_mean",   "in_rolling_variance",   "in_weights",
                                          "self_biases", "self_scales", "self_rolling_mean", "self_rolling_variance", "self_weights",
                                          "out_biases",  "out_scales",  "out_rolling_mean",  "out_rolling_variance",  "out_weights"};
  EXPECT_EQ(names, expected);
  EXPECT_EQ(params[4].count, 8u * 3 * 9);
  EXPECT_EQ(params[9].count, 8u * 8 * 9);
  EXPECT_EQ(params[14].count, 16u * 8 * 9);
}

TEST(crnn, time_steps_multiply_the_batch) {
  const Network network = Network::from_text(kNet + kSequenceHead);
  const NetSpec& net = network.spec();
  EXPECT_EQ(net.batch, 12);
  EXPECT_EQ(net.mini_batch(), 6);
  const int sequences[] = {0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3}, steps[] = {0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2};
  for (int sample = 0; sample < 12; ++sample) {
    EXPECT_EQ(net.frame_place(sample).sequence, sequences[sample]);
    EXPECT_EQ(net.frame_place(sample).step, steps[sample]);
  }
  EXPECT_EQ(Network::from_text("[net]\nbatch=4\nwidth=6\nheight=6\ntime_steps=3\n" + kSequenceHead).spec().batch, 4);
}

TEST(crnn, refusals) {
  EXPECT_NE(error_of("hidden=4\noutput=4\nsize=4\npad=1").find("size = 4: the state could not keep its size; expected an odd size"),
            std::string::npos);
  EXPECT_NE(error_of("hidden=4\noutput=4").find("expected pad = 1"), std::string::npos);
  EXPECT_NE(error_of("hidden=3\noutput=4\npad=1\ngroups=2").find("hidden = 3: not divisible into groups = 2"), std::string::npos);
  EXPECT_NE(error_of("pad=1\nxnor=1").find("binary recurrent layers are not built"), std::string::npos);
  EXPECT_NE(error_of("pad=1\nbatch_normalize=1\nnorm_scope=cmbn").find("expected norm_scope = minibatch"), std::string::npos);
  Network network = Network::from_text(kNet + kSequenceHead);
  cpu::Device device({.threads = 1});
  EXPECT_THROW(Plan(network, device, network.input(4), {.training = true}), Error);
}

}  // namespace
}  // namespace dn
