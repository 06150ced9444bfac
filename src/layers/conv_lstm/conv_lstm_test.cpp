// [conv_lstm] against its reference and differences through time: steps, sequences, peephole, bottleneck, normalization, bounds; factors on the gradient
// through time; its state at inference and from mini-batch to mini-batch; running statistics; parameters in the file's order; refusals.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/conv_lstm/conv_lstm_ref.h"
#include "layers/convolutional/convolutional_ref.h"
#include "nn/normalize_ref.h"
#include "tests/harness/check_layer.h"
#include "tests/harness/sequences.h"

namespace dn {
namespace {

using testing::first_output;
using testing::frames;
using testing::kSequenceHead;
using testing::RefTensor;

template <class Carry>
std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> params, bool training,
                              const Carry& carry) {
  const ConvLstm& lstm = static_cast<const ConvLstm&>(layer);
  const auto convolve = [&](int which, const std::vector<double>& v, const Shape& in) {
    size_t first = 0;
    for (int before = 0; before < which; ++before)
      if (lstm.has(before)) first += lstm.part_params(before, x[0].shape).size();
    const auto p = params.subspan(first, lstm.part_params(which, x[0].shape).size());
    const auto& conv = static_cast<const Convolutional&>(lstm.part(which));
    const Shape out = conv.output_shape({&in, 1});
    std::vector<double> y = convolution_ref(conv.spec(), in, out, v, p.back());
    normalize_ref<double>(conv.norm(), out, y, p[0], p.subspan(1), !training, conv.activation());
    return y;
  };
  return conv_lstm_reference(lstm, x[0].shape, x[0].v, training ? lstm.time_steps() : 1, convolve, carry);
}

constexpr auto kUnchanged = [](int, const std::vector<double>&, const std::vector<double>&) {};

std::vector<double> in_double(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> params, const Shape&,
                              bool training) {
  return reference(layer, x, params, training, kUnchanged);
}

void check(int steps, const std::string& keys, const Shape& shape, testing::CheckOptions options = {}) {
  testing::check_layer(concat("width=8\nheight=8\ntime_steps=", steps, "\n[conv_lstm]\n", keys), {shape}, in_double, options);
}

TEST(conv_lstm, through_time) {
  check(1, "output=9\npad=1", {2, 5, 4, 3});
  check(2, "output=8\nsize=1\nactivation=leaky", {6, 8, 2, 3});
  check(3, "output=9\npad=1", {6, 5, 4, 3});
  check(4, "output=16\npad=1\nactivation=tanh\nlstm_activation=logistic", {4, 16, 3, 3});
  check(2, "output=6\npad=1\ngroups=2\nstride=2\nactivation=mish\nlstm_activation=swish", {2, 8, 6, 5});
}

TEST(conv_lstm, peephole) {
  check(1, "output=5\npad=1\npeephole=1", {2, 4, 3, 4});
  check(3, "output=9\npad=1\npeephole=1\nactivation=leaky", {6, 5, 4, 3});
}

TEST(conv_lstm, bottleneck) {
  check(1, "output=5\npad=1\nbottleneck=1", {2, 5, 3, 4});
  check(3, "output=10\npad=1\nbottleneck=1\nlstm_activation=leaky", {6, 10, 4, 3});
  check(2, "output=16\npad=1\nbottleneck=1\nshortcut=1\npeephole=1", {4, 16, 3, 3});
  check(4, "output=5\npad=1\nbottleneck=1\nshortcut=1", {4, 5, 3, 3});
}

TEST(conv_lstm, cells_stay_within_their_bounds) {
  testing::CheckOptions options;
  options.low = 0, options.high = 4;
  check(4, "output=4\npad=1\nstate_constrain=.3\nlstm_activation=linear", {4, 4, 3, 3}, options);
}

TEST(conv_lstm, normalized) {
  testing::CheckOptions options;
  options.gradient_tolerance = 3e-4;
  check(3, "output=6\npad=1\nbatch_normalize=1\nactivation=leaky", {9, 5, 4, 3}, options);
  check(3, "output=6\npad=1\nbatch_normalize=1\npeephole=1", {9, 5, 4, 3}, options);
  check(2, "output=8\npad=1\nbatch_normalize=1\nbottleneck=1\nshortcut=1", {6, 8, 4, 4}, options);
  check(2, "output=8\npad=1\nnorm=gn\nnorm_groups=2\nactivation=leaky", {4, 8, 4, 4}, options);
}

// What is differentiated sees the states as they are without any change, and a share of their changes.
TEST(conv_lstm, time_normalizer_is_a_factor_on_gradients_through_time) {
  constexpr double kShare = .25;
  using States = std::vector<std::vector<double>>;
  for (const char* keys : {"output=6\npad=1\npeephole=1\n", "output=6\npad=1\nbottleneck=1\n"}) {
    testing::CheckOptions options;
    options.differentiated = [=](std::span<const RefTensor> x, std::span<const std::vector<double>> params) -> testing::Reference {
      States unchanged;
      const auto layer = testing::parse_layer(concat("width=8\nheight=8\ntime_steps=3\n[conv_lstm]\n", keys), 1);
      reference(*layer, x, params, true, [&](int, const std::vector<double>& h, const std::vector<double>& c) {
        unchanged.insert(unchanged.end(), {h, c});
      });
      return [unchanged](const Layer& same, std::span<const RefTensor> in, std::span<const std::vector<double>> p, const Shape&, bool training) {
        const auto share = [](std::vector<double>& state, const std::vector<double>& base) {
          for (size_t i = 0; i < state.size(); ++i) state[i] = base[i] + kShare * (state[i] - base[i]);
        };
        return reference(same, in, p, training, [&](int t, std::vector<double>& h, std::vector<double>& c) {
          share(h, unchanged[static_cast<size_t>(2 * t)]);
          share(c, unchanged[static_cast<size_t>(2 * t + 1)]);
        });
      };
    };
    check(3, concat(keys, "time_normalizer=", kShare), {6, 6, 4, 3}, options);
  }
}

const std::string kNet = "[net]\nbatch=4\nsubdivisions=2\nwidth=6\nheight=6\nchannels=3\ntime_steps=3\n";
const std::string kLstm = "[conv_lstm]\nbatch_normalize=1\npad=1\noutput=8\npeephole=1\nactivation=leaky\n";

TEST(conv_lstm, state_lasts_from_call_to_call) {
  Network network = Network::from_text(kNet + kLstm);
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
    return first_output(plan);
  };
  const std::vector<float> first = run(0, false), second = run(1, true), third = run(1, true);
  EXPECT_NE(second, third);
  EXPECT_EQ(run(0, false), first);
  EXPECT_EQ(run(1, true), second);
  EXPECT_NE(run(1, false), second);
}

// Two mini-batches of three frames, the second going on, are one of six.
TEST(conv_lstm, training_goes_on_with_a_sequence) {
  const std::string section = "[conv_lstm]\npad=1\noutput=8\npeephole=1\n";
  EXPECT_EQ(testing::outputs_over_six_frames(section, 6), testing::outputs_over_six_frames(section, 3));
}

// A second forward pass, in backward, finds the statistics and the states of the first and moves none.
TEST(conv_lstm, can_be_computed_again) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=leaky\n";
  for (const char* kind : {"", "bottleneck=1\nshortcut=1\n"}) {
    std::vector<std::vector<float>> results;
    for (const int segments : {0, 2}) {
      Network network = Network::from_text(concat(kNet, conv, conv, kLstm, kind, conv, conv, kSequenceHead));
      network.params().initialize(4);
      cpu::Device device({.threads = 2});
      Plan plan(network, device, network.input(6), {.training = true, .segments = segments});
      EXPECT_EQ(plan.report().again > 0, segments > 0);
      const std::vector<float> images = frames(network.input(6));
      plan.set_input(images.data());
      const std::vector<TruthBox> boxes[6];
      for (const bool continues : {false, true}) {
        const Pass pass{.training = true, .truth = boxes, .continues = continues};
        plan.forward(pass);
        plan.backward(pass);
      }
      const auto grads = network.params().grads();
      results.emplace_back(grads.begin(), grads.end());
      const std::vector<float> statistics = network.params().statistics();
      results.back().insert(results.back().end(), statistics.begin(), statistics.end());
    }
    EXPECT_EQ(results[0], results[1]);
  }
}

// The zero state in front of the first step would draw the variances towards zero.
TEST(conv_lstm, first_step_leaves_no_statistics) {
  Network network = Network::from_text(kNet + kLstm + kSequenceHead);
  network.params().initialize(4);
  cpu::Device device({.threads = 2});
  Plan plan(network, device, network.input(6), {.training = true});
  const std::vector<float> images = frames(network.input(6));
  const std::vector<TruthBox> boxes[6];
  plan.set_input(images.data());
  plan.forward({.training = true, .truth = boxes});
  EXPECT_EQ(network.params().norm_updates(0), 1);
  for (const ParamSegment* segment : network.params().of_layer(0)) {
    if (segment->spec.role != ParamRole::running_variance) continue;
    const auto values = network.params().values(*segment);
    EXPECT_GT(*std::ranges::min_element(values), 0.f) << segment->spec.name;
  }
}

TEST(conv_lstm, parameters_in_the_files_order) {
  const Shape in{1, 3, 6, 6}, same{1, 8, 6, 6};
  const auto names = [](const char* keys, const Shape& x) {
    std::string text;
    for (const ParamSpec& spec : testing::parse_layer(concat("[conv_lstm]\npad=1\noutput=8\n", keys), 1)->params({&x, 1}))
      text += concat(spec.name, ":", spec.count, " ");
    return text;
  };
  EXPECT_EQ(names("", in),
            "wf_biases:8 wf_weights:576 wi_biases:8 wi_weights:576 wg_biases:8 wg_weights:576 wo_biases:8 wo_weights:576 "
            "uf_biases:8 uf_weights:216 ui_biases:8 ui_weights:216 ug_biases:8 ug_weights:216 uo_biases:8 uo_weights:216 ");
  EXPECT_EQ(names("peephole=1\nbottleneck=1", same),
            "vf_biases:8 vf_weights:576 vi_biases:8 vi_weights:576 vo_biases:8 vo_weights:576 wf_biases:8 wf_weights:1152 "
            "uf_biases:8 uf_weights:576 ui_biases:8 ui_weights:576 ug_biases:8 ug_weights:576 uo_biases:8 uo_weights:576 ");
}

TEST(conv_lstm, refusals) {
  const auto error_of = [](const std::string& keys, int channels = 4) { return testing::layer_error("[conv_lstm]\n" + keys, {{1, channels, 4, 4}}); };
  const auto says = [](const std::string& text, const char* part) { EXPECT_NE(text.find(part), std::string::npos) << text; };
  says(error_of("output=4\nsize=4\npad=1"), "size = 4: the state could not keep its size; expected an odd size");
  says(error_of("output=4"), "expected pad = 1");
  says(error_of("output=3\npad=1\ngroups=2"), "output = 3: not divisible into groups = 2");
  says(error_of("output=4\npad=1\nxnor=1"), "binary recurrent layers are not built");
  says(error_of("output=4\npad=1\nbatch_normalize=1\nnorm_scope=cmbn"), "expected norm_scope = minibatch");
  says(error_of("output=4\npad=1\nbottleneck=1", 5), "do not fit output = 4");
  says(error_of("output=4\npad=1\nbottleneck=1\nstride=2"), "stride = 2: bottleneck = 1 joins");
  says(error_of("output=1\npad=1\nbottleneck=1\nshortcut=1", 1), "half of output = 1 channel");
  EXPECT_EQ(error_of("output=4\npad=1\nbottleneck=1\nshortcut=1\npeephole=1\ntime_normalizer=.5\nstate_constrain=16"), "");
  Network network = Network::from_text(kNet + kLstm + kSequenceHead);
  cpu::Device device({.threads = 1});
  EXPECT_THROW(Plan(network, device, network.input(4), {.training = true}), Error);
}

}  // namespace
}  // namespace dn
