// The CPU's kernels within a plan for a GPU, where layers have none of its own, against a plan on the CPU: outputs, gradients that overwrite and that add,
// parameters' gradients over mini-batches, running statistics, losses; recurrent layers; normalizations in phases, over whole batches, computed again.
#include "nn/cuda/host_fallback.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "graph/plan.h"
#include "tests/harness/gpu.h"
#include "train/batch_schedule.h"

namespace dn {
namespace {

// Maps that are read twice, so that gradients are added; layers with parameters, with losses, with neither.
std::string net_text(const std::string& net_keys) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\n";
  const std::string head = "[convolutional]\nsize=1\nfilters=14\nactivation=linear\n[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n";
  return concat("[net]\nbatch=4\nwidth=16\nheight=16\nchannels=3\n", net_keys, "\n",  //
                conv, "filters=12\nstride=2\n",                                       // 0: 8 x 8
                "[activation]\nactivation=swish\n",                                   // 1
                conv, "filters=12\ngroups=2\n",                                       // 2: groups that are no eights
                "[sam]\nfrom=1\n",                                                    // 3
                conv, "filters=5\n",                                                  // 4
                "[route]\nlayers=-1,1\n",                                             // 5: 17 channels
                "[batchnorm]\n",                                                      // 6
                head,                                                                 // 7, 8
                "[route]\nlayers=6\n",                                                // 9
                "[maxpool]\nsize=2\nstride=2\n",                                      // 10: 4 x 4
                conv, "filters=17\nnorm=frn\n",                                       // 11
                "[upsample]\nstride=2\n",                                             // 12
                "[sam]\nfrom=-1\n",                                                   // 13: a map by itself
                "[shortcut]\nfrom=6\nactivation=leaky\n",                             // 14
                head);                                                                // 15, 16
}

const std::vector<int> kOnHost = {2, 11};  // of net_text()

struct Result {
  std::vector<std::vector<float>> outputs;  // of the last pass, per layer, as far as they are kept
  std::vector<float> grads, values, losses;
  std::vector<int> on_host;
};

struct Training {
  std::string text;
  PlanOptions options{.training = true, .keep_outputs = true};
  int parts = 2;           // mini-batches
  bool continues = false;  // each goes on with the sequences of the one before
  int batches = 2;
};

void take_losses(const Network& network, Plan& plan, std::vector<float>& to) {
  for (const auto& layer : network.layers()) {
    if (!layer->has_loss()) continue;
    const LossReport last = plan.loss(layer->index()), sum = plan.take_losses(layer->index());
    for (const LossReport& report : {last, sum})
      to.insert(to.end(), {static_cast<float>(report.cost), static_cast<float>(report.iou_sum), static_cast<float>(report.assigned),
                           static_cast<float>(report.truths)});
  }
}

Result train(const Training& training, Device& device) {
  Network network = Network::from_text(training.text);
  network.params().initialize(5);
  const int images = network.spec().batch, mini = images / training.parts;
  Plan plan(network, device, network.input(mini), training.options);
  std::vector<float> input(network.input(images).count());
  Rng rng(1, RandomUse::test);
  for (float& v : input) v = static_cast<float>(rng.uniform());
  std::vector<std::vector<TruthBox>> truth(static_cast<size_t>(images));
  for (auto& boxes : truth)
    for (int k = 0; k < 3; ++k)
      boxes.push_back({{static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.1, .6)),
                        static_cast<float>(rng.uniform(.1, .6))},
                       k % 2});
  Result result;
  result.on_host = plan.report().host_layers;
  for (int batch = 0; batch < training.batches; ++batch)
    for (const BatchStep& step : batch_schedule(network.spec(), training.parts)) {
      Pass pass{.training = true,
                .param_grads = step.param_grads,
                .micro_step = step.mini_batch,
                .micro_steps = training.parts,
                .iteration = static_cast<uint64_t>(batch)};
      pass.stage = step.stage;
      pass.continues = training.continues && step.mini_batch > 0;
      pass.first_image = static_cast<uint64_t>(step.mini_batch * mini);
      pass.truth = std::span(truth).subspan(static_cast<size_t>(step.mini_batch * mini), static_cast<size_t>(mini));
      plan.set_input(input.data() + static_cast<size_t>(step.mini_batch * mini) * network.input(1).count());
      plan.forward(pass);
      if (step.backward) plan.backward(pass);
      take_losses(network, plan, result.losses);
    }
  const auto grads = network.params().grads(), values = network.params().values();
  result.grads.assign(grads.begin(), grads.end()), result.values.assign(values.begin(), values.end());
  for (const auto& layer : network.layers()) {
    if (!training.options.keep_outputs) break;
    const Tensor y = plan.output(layer->index());
    std::vector<float>& to = result.outputs.emplace_back();
    const Shape& s = y.desc.shape;
    for (int i = 0; i < static_cast<int>(s.count()); ++i) {
      const int plane = s.h * s.w;
      to.push_back(y.at(i / plane / s.c, i / plane % s.c, i % plane / s.w, i % s.w));
    }
  }
  return result;
}

// Of the largest, in FP32; in 16 bits the error as a share of the whole.
void expect_close(const std::string& what, const std::vector<float>& a, const std::vector<float>& b, double tolerance, bool tight) {
  ASSERT_EQ(a.size(), b.size()) << what;
  double largest = 0, error = 0, size = 1e-12;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto difference = static_cast<double>(a[i] - b[i]);
    largest = std::max(largest, std::abs(static_cast<double>(a[i])));
    error += difference * difference, size += static_cast<double>(a[i]) * static_cast<double>(a[i]);
  }
  for (size_t i = 0; i < a.size() && tight; ++i) ASSERT_NEAR(a[i], b[i], tolerance * std::max(largest, 1e-6)) << what << " at " << i;
  EXPECT_LT(error / size, tight ? 1e-6 : 1e-2) << what;
}

// on_host: the layers whose kernels must be the CPU's, so that this is about them.
void compare(const Training& training, const std::vector<int>& on_host, cuda::Precision precision = cuda::Precision::fp32) {
  cpu::Device host({.threads = 2});
  cuda::Device gpu(testing::gpu_options(precision));
  const Result expected = train(training, host), got = train(training, gpu);
  const bool tight = precision == cuda::Precision::fp32;
  EXPECT_EQ(got.on_host, on_host);
  for (size_t layer = 0; layer < expected.outputs.size(); ++layer)
    expect_close(concat("output ", layer), expected.outputs[layer], got.outputs[layer], 1e-4, tight);
  expect_close("gradients", expected.grads, got.grads, 1e-3, tight);
  expect_close("values", expected.values, got.values, 1e-4, tight);
  expect_close("losses", expected.losses, got.losses, 1e-4, tight);
}

TEST(host_fallback, beside_kernels_of_the_gpu) {
  compare({net_text("subdivisions=2")}, kOnHost);
  compare({net_text("subdivisions=2")}, kOnHost, cuda::Precision::bf16);
}

TEST(host_fallback, recurrent_layers) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nfilters=10\nactivation=leaky\n";
  const std::string head = "[convolutional]\nsize=1\nfilters=6\nactivation=linear\n[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n";
  const std::string text =
      "[net]\nbatch=4\nsubdivisions=2\nwidth=8\nheight=8\nchannels=3\ntime_steps=2\n" + conv +
      "[crnn]\nbatch_normalize=1\npad=1\nhidden=6\noutput=9\nactivation=leaky\n[route]\nlayers=-1,0\n[history]\nhistory_size=3\n" + head;
  for (const bool continues : {false, true}) compare({.text = text, .continues = continues}, {1});
}

// Normalizations whose statistics are of more than the mini-batch, in one round over the mini-batches or two, from the first or from the last.
TEST(host_fallback, statistics_over_mini_batches) {
  for (const std::string keys : {"norm_scope=cmbn", "norm_scope=twopass", "norm_scope=cmbn\nnorm_grad=exact"}) {
    SCOPED_TRACE(keys);
    compare({net_text("subdivisions=2\n" + keys)}, kOnHost);
  }
}

// Whole batches: the phases of a normalized convolution are run anew in backward, some without its input, some, as nobody reads its output then, without that.
TEST(host_fallback, whole_batches_in_segments) {
  const std::string head = "[convolutional]\nsize=1\nfilters=14\nactivation=linear\n[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n";
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\nfilters=12\n";
  std::string residual = "[net]\nbatch=4\nwidth=16\nheight=16\nchannels=3\nnorm_scope=batch\n" + conv;
  std::vector<int> on_host;
  for (int k = 0; k < 4; ++k) {  // of other widths than what takes their memory
    residual +=
        "[convolutional]\nbatch_normalize=1\nsize=1\nactivation=leaky\nfilters=24\n" + conv + "groups=2\n[shortcut]\nfrom=-3\nactivation=linear\n";
    on_host.push_back(3 * k + 2);
  }
  for (const int segments : {0, 1, 4}) {
    SCOPED_TRACE(segments);
    const PlanOptions options{.training = true, .segments = segments};
    compare({.text = net_text("norm_scope=batch"), .options = options, .parts = 1}, kOnHost);
    compare({.text = residual + head, .options = options, .parts = 1}, on_host);
  }
}

}  // namespace
}  // namespace dn
