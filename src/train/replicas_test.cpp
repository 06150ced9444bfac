// Several GPUs (emulated) against one: the same weights, running statistics and counters, however the mini-batches fall.
#include "train/replicas.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "data/test_folder.h"
#include "tests/harness/tensors.h"
#include "train/optimizer.h"

namespace dn {
namespace {

constexpr int kBatch = 10;
constexpr std::string_view kLeavesOut = "max_batches=77";   // a run whose second batch has a pixel that is not finite

std::string net_text(const std::string& net_keys, int subdivisions) {
  const auto conv = [](int filters, int size, const char* keys) {
    return concat("[convolutional]\nbatch_normalize=1\npad=1\nfilters=", filters, "\nsize=", size, "\n", keys, "\n");
  };
  return concat("[net]\nbatch=", kBatch, "\nsubdivisions=", subdivisions, "\nwidth=32\nheight=32\nchannels=3\n", net_keys, "\n", conv(8, 3, "stride=2\nactivation=leaky"),
                conv(16, 3, "stride=2\nactivation=mish"), conv(16, 3, "activation=leaky"), "[shortcut]\nfrom=-2\nactivation=linear\n", "[dropout]\nprobability=.2\n",
                "[convolutional]\nfilters=21\nsize=1\nactivation=linear\n",
                "[yolo]\nmask=0,1,2\nanchors=4,5, 8,7, 12,14\nclasses=2\nnum=3\nignore_thresh=.7\n");
}

struct Trained {
  std::vector<float> values;
  std::vector<double> losses;
  std::vector<int64_t> updates;   // of the first three layers
  int left_out = 0;
};

struct Run {
  int gpus = 1, iterations = 4, subdivisions = 5;
  std::string keys;
  Frozen frozen;
};

DeviceChoice emulated_gpus(int gpus) {
  DeviceChoice choice;
  choice.which = DeviceChoice::Which::gpu;
  choice.gpu.emulated = true;
  choice.precision = cuda::Precision::fp32;
  for (int gpu = 1; gpu < gpus; ++gpu) choice.others.push_back(gpu);
  return choice;
}

Trained train(const Run& run) {
  const test::TestFolder folder("replicas");
  write_file(folder / "net.cfg", net_text(run.keys, run.subdivisions));
  Network network = Network::from_cfg(folder / "net.cfg");
  network.params().initialize(3);
  for (const ParamSegment& segment : network.params().segments())   // where they do not move they must mean something
    if (segment.spec.role == ParamRole::running_variance) std::ranges::fill(network.params().values(segment), 1.0f);
  const DeviceChoice choice = emulated_gpus(run.gpus);
  const auto device = open_device(choice, DeviceUse::training);
  network.params().allocate_grads();
  Optimizer optimizer(network.params(), {.momentum = .9, .decay = 5e-4, .batch = kBatch, .layers = {}, .threads = 1}, device.get());
  const int mini_batch = network.spec().mini_batch();
  Plan plan(network, *device, network.input(mini_batch), {.training = true, .frozen = run.frozen});
  ImageFeed feed(*device, true);
  std::unique_ptr<Replicas> replicas;
  if (run.gpus > 1) replicas = std::make_unique<Replicas>(ReplicaOptions{folder / "net.cfg", choice}, network, *device);
  Trained out;
  for (int iteration = 0; iteration < run.iterations; ++iteration) {
    Rng rng(4, RandomUse::test, static_cast<uint64_t>(iteration));
    std::vector<float> images(network.input(kBatch).count());
    for (float& v : images) v = static_cast<float>(rng.uniform());
    if (run.keys == kLeavesOut && iteration == 1) images[images.size() / 2] = INFINITY;
    const std::vector<std::vector<TruthBox>> truths(kBatch, {{{.3f, .4f, .2f, .3f}, 0}, {{.7f, .6f, .5f, .6f}, 1}});
    const Replicas::Work work = [&](Plan& on, ImageFeed&, std::span<const BatchStep> steps) {
      for (const BatchStep& step : steps) {
        const Pass pass = pass_of(step, {mini_batch, network.spec().parts(), static_cast<uint64_t>(iteration), 1, truths, {}});
        on.set_input(images.data() + pass.first_image * network.input(1).count());
        on.forward(pass);
        on.backward(pass);
      }
    };
    optimizer.begin_batch();
    const std::vector<BatchStep> steps = batch_schedule(network.spec());
    if (replicas)
      replicas->share(steps, {{network.spec().width, network.spec().height}, mini_batch, run.frozen}, plan, feed, work);
    else
      work(plan, feed, steps);
    const int head = network.head_layers()[0];
    LossReport loss = plan.take_losses(head);
    if (replicas) loss += replicas->take_losses(head);
    out.losses.push_back(loss.cost);
    EXPECT_EQ(loss.truths, 2 * kBatch);
    out.left_out += optimizer.update(1e-3, run.frozen.parameters).applied ? 0 : 1;
  }
  out.values.assign(network.params().values().begin(), network.params().values().end());
  for (int layer = 0; layer < 3; ++layer) out.updates.push_back(network.params().norm_updates(layer));
  return out;
}

void expect_same(Run run) {
  run.gpus = 1;
  const Trained expected = train(run);
  for (run.gpus = 2; run.gpus <= 4; ++run.gpus) {
    SCOPED_TRACE(run.gpus);
    const Trained got = train(run);
    EXPECT_LT(testing::distance(expected.values, got.values), 1e-5);
    EXPECT_EQ(expected.updates, got.updates);
    EXPECT_EQ(expected.left_out, got.left_out);
    EXPECT_EQ(got.left_out, run.keys == kLeavesOut ? 1 : 0);
    for (size_t i = 0; i < expected.losses.size(); ++i)
      if (std::isfinite(expected.losses[i])) { EXPECT_NEAR(expected.losses[i], got.losses[i], 1e-4 * expected.losses[i]) << "iteration " << i; }
  }
}

TEST(Replicas, train_what_one_gpu_trains) { expect_same({}); }
TEST(Replicas, running_statistics_of_every_start) {
  for (const char* keys : {"norm_momentum=.1\nnorm_warm=0", "norm_momentum=0", "norm_compat=caffe", "norm_compat=alexeyab-cudnn", "norm=gn", "norm_frozen=stats"}) {
    SCOPED_TRACE(keys);
    expect_same({.iterations = 2, .keys = keys});
  }
}
TEST(Replicas, frozen_layers_stay) { expect_same({.keys = "", .frozen = {.layers = 2, .parameters = 2}}); }
TEST(Replicas, an_update_that_is_left_out_leaves_no_trace) { expect_same({.keys = std::string(kLeavesOut)}); }
// dynamic_minibatch may cut a batch into fewer mini-batches than there are GPUs.
TEST(Replicas, a_gpu_may_have_nothing_to_do) { expect_same({.iterations = 2, .subdivisions = 2}); }

TEST(Replicas, say_what_cannot_be_shared) {
  const auto why = [](const std::string& keys, int gpus, int subdivisions = 5) {
    Network network = Network::from_text(net_text(keys, subdivisions));
    return Replicas::obstacle(network, gpus);
  };
  EXPECT_EQ(why("", 5), "");
  EXPECT_EQ(why("norm=gn", 5), "");
  EXPECT_EQ(why("", 6), "a batch has 5 mini-batches (subdivisions), and a GPU takes one at least");
  EXPECT_EQ(why("", 2, 1), "a batch has 1 mini-batch (subdivisions), and a GPU takes one at least");
  EXPECT_EQ(why("norm_scope=batch", 2), "its normalization is over the whole batch");
  EXPECT_NE(why("norm_scope=cmbn", 2).find("(bn cmbn, moved once a batch) depends on the mini-batches before"), std::string::npos) << why("norm_scope=cmbn", 2);
  EXPECT_NE(why("norm=brn", 2).find("depends on the mini-batches before"), std::string::npos);
}

}  // namespace
}  // namespace dn
