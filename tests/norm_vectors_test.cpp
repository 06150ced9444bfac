// Whole stacks of convolutions with every scope of batch normalization against numbers of a float64 implementation (scripts/make_norm_vectors.py):
// losses and gradients of all weights, statistics of a window over past batches, and the arithmetic of a preset.
#include <gtest/gtest.h>

#include "base/aligned.h"
#include "base/files.h"
#include "base/json.h"
#include "device/cpu/device.h"
#include "graph/network.h"
#include "nn/norm.h"
#include "tests/harness/check_layer.h"
#include "tests/harness/tensors.h"
#include "train/batch_schedule.h"

namespace dn {
namespace {

using testing::pack;
using testing::unpack;

const nlohmann::json& vectors() {
  static const nlohmann::json all = parse_json(read_text(fs::path(DN_SOURCE_DIR) / "tests" / "data" / "norm_vectors.json"));
  return all;
}

std::vector<float> floats(const nlohmann::json& list) { return list.get<std::vector<float>>(); }

// `tolerance`: of the largest expected value.
void expect_close(const std::string& what, const std::vector<float>& expected, std::span<const float> got, double tolerance) {
  ASSERT_EQ(expected.size(), got.size()) << what;
  double largest = 1e-3;
  for (const float v : expected) largest = std::max(largest, std::abs(static_cast<double>(v)));
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(expected[i], got[i], tolerance * largest) << what << " at " << i;
}

// The layers of a network, each with its kernel and buffers; run by hand, so that the loss may be any.
class Stack {
 public:
  Stack(const std::string& net_keys, const std::string& layer_keys, int layers, const Shape& input, const std::string& section = "[convolutional]\nsize=3\npad=1\n")
      : network_(Network::from_text(text(net_keys, section + layer_keys, layers, input))), input_{input, device_.block()} {
    ParamStore& store = network_.params();
    store.allocate_grads();
    x_.resize(input_.count());
    TensorDesc from = input_;
    for (int i = 0; i < layers; ++i) {
      const Layer& layer = *network_.layers()[static_cast<size_t>(i)];
      KernelArgs args;
      args.x = {from};
      const Shape in[] = {from.shape};
      args.y = {layer.output_shape(in), device_.block()};
      args.training = args.backward = true;
      args.dx = {i == 0 ? Write::none : Write::overwrite};
      steps_.push_back(std::make_unique<Step>());
      Step& step = *steps_.back();
      step.kernel = testing::compile_layer(layer, device_, args);
      step.x = {from, i == 0 ? x_.data() : steps_[static_cast<size_t>(i) - 1]->y.data()};
      step.dx = {from, i == 0 ? nullptr : steps_[static_cast<size_t>(i) - 1]->dy.data()};
      step.y.resize(args.y.count()), step.dy.resize(args.y.count());
      const Needs needs = step.kernel->needs();
      for (const size_t bytes : needs.saved) step.memory.emplace_back(bytes / 4 + 1);
      step.scratch.resize(std::max(needs.forward_scratch, needs.backward_scratch) / 4 + 16);
      for (AlignedFloats& m : step.memory) step.saved.push_back(reinterpret_cast<std::byte*>(m.data()));
      for (const ParamSegment* segment : store.of_layer(i)) step.params.push_back({store.values(*segment), store.grads(*segment)});
      step.io.x = {&step.x, 1}, step.io.dx = {&step.dx, 1}, step.io.saved = step.saved, step.io.params = step.params;
      step.io.y = {args.y, step.y.data()}, step.io.dy = {args.y, step.dy.data()};
      step.io.scratch = reinterpret_cast<std::byte*>(step.scratch.data());
      step.io.norm = &norms_[static_cast<size_t>(i)];
      from = args.y;
    }
  }

  Network& network() { return network_; }
  std::span<float> values(int layer, const std::string& name) { return segment(layer, name, false); }
  std::span<float> grads(int layer, const std::string& name) { return segment(layer, name, true); }
  void weights_moved() { network_.params().touch(); }

  std::vector<float> forward(std::span<const float> images, Pass pass) {
    pass.training = true;
    pass.weights_version = network_.params().version();
    pack(images, {input_, x_.data()});
    for (auto& step : steps_)
      for (pass.phase = 0; pass.phase < step->kernel->forward_phases(); ++pass.phase) step->kernel->forward(step->io, pass);
    return unpack<float>(steps_.back()->io.y);
  }

  void backward(std::span<const float> dy, Pass pass) {
    pass.training = true;
    pass.weights_version = network_.params().version();
    pack(dy, steps_.back()->io.dy);
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) (*step)->kernel->backward((*step)->io, pass);
  }

 private:
  struct Step {
    std::unique_ptr<Kernel> kernel;
    Tensor x, dx;
    AlignedFloats y, dy, scratch;
    std::vector<AlignedFloats> memory;
    std::vector<std::byte*> saved;
    std::vector<ParamView> params;
    Io io;
  };

  static std::string text(const std::string& net, const std::string& layer, int layers, const Shape& input) {
    std::string out = concat("[net]\nbatch=8\nsubdivisions=4\nwidth=", input.w, "\nheight=", input.h, "\nchannels=", input.c, "\n", net, "\n");
    for (int i = 0; i < layers; ++i) out += concat(layer, "\n");
    return out;
  }

  std::span<float> segment(int layer, const std::string& name, bool grad) {
    for (const ParamSegment* s : network_.params().of_layer(layer))
      if (s->spec.name == name) return grad ? network_.params().grads(*s) : network_.params().values(*s);
    ADD_FAILURE() << "no parameter " << name;
    return {};
  }

  cpu::Device device_{{.threads = 2, .convolution = cpu::ConvAlgorithm::direct}};
  Network network_;
  TensorDesc input_;
  AlignedFloats x_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::array<NormState, 8> norms_;
};

struct Scheme {
  const char *name, *net, *layer;
};

class NormVectors : public ::testing::TestWithParam<Scheme> {};

// Sum of log cosh(y - target), its gradient tanh(y - target), over a batch of four mini-batches in the order of the schedule.
TEST_P(NormVectors, losses_and_gradients) {
  const Scheme& scheme = GetParam();
  const nlohmann::json &net = vectors()["network"], &expected = net["runs"][scheme.name];
  const int side = net["side"], layers = static_cast<int>(net["weights"].size()), whole = std::string(scheme.name) == "batch";
  const int images = net["images"].get<int>() * (whole ? 4 : 1);
  Stack stack(scheme.net, concat("filters=5\nactivation=leaky\n", scheme.layer), layers, {images, 3, side, side});
  for (int l = 0; l < layers; ++l) {
    std::ranges::copy(floats(net["weights"][static_cast<size_t>(l)]), stack.values(l, "weights").begin());
    std::ranges::copy(floats(net["gamma"][static_cast<size_t>(l)]), stack.values(l, "scales").begin());
    std::ranges::copy(floats(net["beta"][static_cast<size_t>(l)]), stack.values(l, "biases").begin());
  }
  std::vector<std::vector<float>> x(whole ? 1 : 4), target(x.size());
  for (size_t j = 0; j < 4; ++j) {
    const std::vector<float> some = floats(net["x"][j]), wanted = floats(net["target"][j]);
    x[whole ? 0 : j].insert(x[whole ? 0 : j].end(), some.begin(), some.end());
    target[whole ? 0 : j].insert(target[whole ? 0 : j].end(), wanted.begin(), wanted.end());
  }
  double loss = 0;
  for (const BatchStep& step : batch_schedule(stack.network().spec())) {
    const size_t j = static_cast<size_t>(step.mini_batch);
    Pass pass;
    pass.stage = step.stage, pass.micro_step = step.mini_batch, pass.micro_steps = static_cast<int>(x.size()), pass.param_grads = step.param_grads;
    std::vector<float> y = stack.forward(x[j], pass);
    if (!step.backward) continue;
    for (size_t i = 0; i < y.size(); ++i) {
      const double d = static_cast<double>(y[i]) - static_cast<double>(target[j][i]);
      loss += std::abs(d) + std::log1p(std::exp(-2 * std::abs(d))) - std::log(2.0);
      y[i] = static_cast<float>(std::tanh(d));
    }
    stack.backward(y, pass);
  }
  EXPECT_NEAR(loss, expected["loss"].get<double>(), 2e-6 * loss);
  const char* const names[] = {"weights", "scales", "biases"};
  for (int kind = 0; kind < 3; ++kind)
    for (int l = 0; l < layers; ++l)
      expect_close(concat(scheme.name, " d", names[kind], " of layer ", l), floats(expected["gradients"][static_cast<size_t>(kind * layers + l)]),
                   stack.grads(l, names[kind]), 2e-5);
}

INSTANTIATE_TEST_SUITE_P(oracle, NormVectors,
                         ::testing::Values(Scheme{"minibatch", "", "norm=bn"}, Scheme{"batch", "norm_scope=batch", "norm=bn"},
                                           Scheme{"twopass renorm", "norm_scope=twopass", "norm=bn"}, Scheme{"cmbn renorm", "", "batch_normalize=2"},
                                           Scheme{"cmbn local", "", "batch_normalize=2\nnorm_grad=local"},
                                           Scheme{"cmbn detached", "", "batch_normalize=1\ncbn=1\nnorm_grad=detached"},
                                           Scheme{"cmbn exact", "norm_grad=exact", "norm=bn\nnorm_scope=cmbn"}),
                         [](const auto& scheme) {
                           std::string name = scheme.param.name;
                           std::ranges::replace(name, ' ', '_');
                           return name;
                         });

TEST(norm_vectors, window_over_past_batches) {
  const nlohmann::json& c = vectors()["window"];
  const int side = c["side"], images = c["images"];
  Stack stack("", "filters=4\nactivation=linear\nnorm=bn\nnorm_scope=window\nnorm_window=4\nnorm_grad=detached", 1, {images, 3, side, side});
  std::ranges::copy(floats(c["gamma"]), stack.values(0, "scales").begin());
  std::ranges::copy(floats(c["beta"]), stack.values(0, "biases").begin());
  std::vector<float> y;
  Pass pass;
  for (size_t j = 0; j < c["x"].size(); ++j) {
    std::ranges::copy(floats(c["weights"][j]), stack.values(0, "weights").begin());
    stack.weights_moved();
    y = stack.forward(floats(c["x"][j]), pass);
  }
  expect_close("y", floats(c["y"]), y, 1e-5);
  stack.backward(floats(c["dz"]), pass);
  expect_close("dgamma", floats(c["dgamma"]), stack.grads(0, "scales"), 1e-5);
  expect_close("dbeta", floats(c["dbeta"]), stack.grads(0, "biases"), 1e-5);
  // Of the convolution's output, by way of the weights: dW = sum dz P with the oracle's dz.
  const std::vector<float> dz = floats(c["dz_of_convolution"]), x = floats(c["x"].back());
  std::vector<float> expected;
  for (int o = 0; o < 4; ++o)
    for (int i = 0; i < 3; ++i)
      for (int ky = -1; ky <= 1; ++ky)
        for (int kx = -1; kx <= 1; ++kx) {
          double sum = 0;
          for (int n = 0; n < images; ++n)
            for (int v = std::max(0, -ky); v < std::min(side, side - ky); ++v)
              for (int u = std::max(0, -kx); u < std::min(side, side - kx); ++u)
                sum += static_cast<double>(dz[static_cast<size_t>(((n * 4 + o) * side + v) * side + u)]) *
                       static_cast<double>(x[static_cast<size_t>(((n * 3 + i) * side + v + ky) * side + u + kx)]);
          expected.push_back(static_cast<float>(sum));
        }
  expect_close("dW", expected, stack.grads(0, "weights"), 2e-5);
}

// A [connected] layer is a convolution of one pixel, derivatives by its weights included.
TEST(norm_vectors, window_of_a_connected_layer) {
  const Shape input{6, 4, 1, 1};
  const std::string keys = "activation=leaky\nnorm=bn\nnorm_scope=window\nnorm_window=3\nnorm_grad=detached";
  Stack conv("", keys, 1, input, "[convolutional]\nfilters=5\nsize=1\n"), connected("", keys, 1, input, "[connected]\noutput=5\n");
  const std::vector<float> values = floats(vectors()["network"]["x"][0]), dy(30, .5f);
  for (int j = 0; j < 4; ++j) {
    for (Stack* stack : {&conv, &connected}) {
      const std::span<float> weights = stack->values(0, "weights");
      for (size_t i = 0; i < weights.size(); ++i) weights[i] = values[i + 50] + .05f * static_cast<float>(j) * values[i + 80];
      std::ranges::fill(stack->values(0, "scales"), 1.2f);
      stack->weights_moved();
    }
    const std::span<const float> x = std::span(values).subspan(static_cast<size_t>(j) * 30, 24);
    expect_close(concat("y of batch ", j), conv.forward(x, {}), connected.forward(x, {}), 2e-6);
  }
  conv.backward(dy, {}), connected.backward(dy, {});
  const std::span<float> expected = conv.grads(0, "weights");
  expect_close("dW", {expected.begin(), expected.end()}, connected.grads(0, "weights"), 1e-5);
}

// A window of one batch is nothing but cmbn, bit for bit, and so is one that has no past yet.
TEST(norm_vectors, window_without_a_past_is_the_pool_of_the_batch) {
  const nlohmann::json& net = vectors()["network"];
  const Shape input{2, 3, net["side"], net["side"]};
  for (const char* keys : {"norm_scope=window\nnorm_window=1", "norm_scope=window\nnorm_window=4"}) {
    Stack window("", concat("filters=5\nactivation=leaky\nnorm=bn\n", keys), 2, input), pool("", "filters=5\nactivation=leaky\nbatch_normalize=2", 2, input);
    for (Stack* stack : {&window, &pool}) stack->network().params().initialize(3);
    for (int j = 0; j < 2; ++j) {
      Pass pass;
      pass.micro_step = j, pass.micro_steps = 2;
      EXPECT_EQ(window.forward(floats(net["x"][static_cast<size_t>(j)]), pass), pool.forward(floats(net["x"][static_cast<size_t>(j)]), pass)) << keys;
    }
  }
}

TEST(norm_vectors, the_arithmetic_of_alexeyab_s_cudnn_code) {
  const nlohmann::json& c = vectors()["alexeyab_cudnn"];
  const TensorDesc desc{{c["shape"][0], c["shape"][1], c["shape"][2], c["shape"][3]}, 8};
  Problems problems;
  const std::vector<Section> sections = parse_sections("[net]\nnorm_compat=alexeyab-cudnn\nwidth=8\nheight=8\n[convolutional]\nbatch_normalize=2\n", "t.cfg", problems);
  const NormSpec spec = bind_layer_norm(sections[1], bind_net(sections[0], problems).norm, problems);
  problems.settle();
  const auto norm = make_norm(spec, desc, Activation::linear, 2, false);
  std::vector<float> gamma = floats(c["gamma"]), beta = floats(c["beta"]), mean(gamma.size()), variance(gamma.size()), dgamma(gamma.size()), dbeta(gamma.size());
  NormState state;
  const NormParams params{{beta, dbeta}, {gamma, dgamma}, {mean, {}}, {variance, {}}, {}, &state, nullptr};
  AlignedFloats x(desc.count()), y(desc.count()), dy(desc.count()), dx(desc.count()), saved(norm->saved_bytes() / 4), scratch(norm->backward_scratch_bytes() / 4);
  std::byte *const kept = reinterpret_cast<std::byte*>(saved.data()), *const some = reinterpret_cast<std::byte*>(scratch.data());
  int step = 0;
  for (const nlohmann::json& m : c["mini_batches"]) {
    Pass pass;
    pass.micro_step = step++, pass.micro_steps = 4;
    pack(floats(m["x"]), {desc, x.data()});
    pack(floats(m["dy"]), {desc, dy.data()});
    norm->collect({desc, x.data()}, params, kept, pass);
    norm->apply({desc, x.data()}, params, kept, {desc, y.data()});
    norm->backward({desc, x.data()}, {desc, dy.data()}, params, kept, some, pass, {desc, dx.data()});
    expect_close("y", floats(m["y"]), unpack<float>({desc, y.data()}), 1e-5);
    expect_close("dx", floats(m["dx"]), unpack<float>({desc, dx.data()}), 1e-5);
    expect_close("dgamma", floats(m["dgamma"]), dgamma, 1e-5);
    expect_close("dbeta", floats(m["dbeta"]), dbeta, 1e-5);
    expect_close("running mean", floats(m["running_mean"]), mean, 1e-5);
    expect_close("running variance", floats(m["running_variance"]), variance, 1e-5);
  }
}

}  // namespace
}  // namespace dn
