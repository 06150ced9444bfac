// [yolo] on a GPU beside the host's kernel.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/yolo/yolo.h"
#include "tensor/half.h"
#include "tests/harness/gpu.h"
#include "tests/harness/head_section.h"
#include "tests/harness/head_step.h"

namespace dn {
namespace {

using testing::HeadCase;
using testing::HeadStep;

constexpr Shape kNet{3, 3, 48, 64}, kShape{3, 27, 6, 8};
const std::string kHead = "mask=1,2,4\nanchors=6,8, 14,10, 12,22, 26,20, 40,30, 50,44\nclasses=4\nnum=6\nmax=20\n";

std::unique_ptr<Yolo> head(const std::string& keys = {}) {
  return testing::settled(testing::parse_head<Yolo>("[yolo]\n" + kHead + keys, "y.cfg", 5));
}

std::vector<float> random_values(size_t count, uint64_t seed, double low, double high) {
  Rng rng(seed, RandomUse::test);
  std::vector<float> v(count);
  for (float& value : v) value = static_cast<float>(rng.uniform(low, high));
  return v;
}

HeadCase head_case(uint64_t seed, bool new_coords) {
  return new_coords ? testing::three_images(kShape, kNet, seed, .1, .9) : testing::three_images(kShape, kNet, seed, -2, 2);
}

void compare(const std::string& keys, const HeadCase& c) { testing::expect_gpu_as_host(*head(keys), c, 1e-5, keys); }

}  // namespace

TEST(yolo_cuda, every_box_loss_is_the_hosts) {
  testing::for_all_choices({{"iou_loss=mse\n", "iou_loss=iou\n", "iou_loss=giou\n", "iou_loss=diou\n", "iou_loss=ciou\n"},
                            {"", "scale_x_y=1.2\n", "scale_x_y=2\nnew_coords=1\n"},
                            {"", "exact_gradient=1\n"},
                            {"", "iou_thresh=.2\n", "iou_thresh=.3\niou_thresh_kind=giou\nmax_delta=.5\n"}},
                           [](const std::string& keys, uint64_t number) {
                             compare("iou_normalizer=.6\n" + keys, head_case(1 + number, keys.find("new_coords") != std::string::npos));
                           });
}

TEST(yolo_cuda, every_other_key_is_the_hosts) {
  testing::for_all_choices({{"", "focal_loss=1\n", "counters_per_class=30,10,15,2\ncls_normalizer=.7\nmax_delta=5\n", "label_smooth_eps=.1\n"},
                            {"", "objectness_smooth=1\n", "objectness_smooth=1\nexact_gradient=1\n"},
                            {"ignore_thresh=.2\n", "ignore_thresh=.1\ntruth_thresh=.3\n", "ignore_thresh=.7\ntruth_thresh=.2\niou_thresh=.2\n"},
                            {"", "obj_normalizer=.4\ndelta_normalizer=.5\niou_loss=ciou\niou_normalizer=.07\n"}},
                           [](const std::string& keys, uint64_t number) { compare(keys, head_case(1000 + number, false)); });
}

TEST(yolo_cuda, outputs_that_are_no_numbers) {
  for (const char* keys : {"", "iou_loss=ciou\n", "focal_loss=1\ntruth_thresh=.3\n", "objectness_smooth=1\nexact_gradient=1\niou_loss=giou\n"})
    compare(keys, testing::with_broken_outputs(head_case(7, false)));
}

TEST(yolo_cuda, no_truths_at_all) {
  HeadCase c = head_case(3, false);
  c.truths = {};
  const auto layer = head();
  testing::expect_same_step(testing::head_step_on_host(*layer, c), testing::head_step_on_gpu(*layer, c), 1e-5, "no truths");
}

TEST(yolo_cuda, gradients_add_up_and_are_scaled) {
  const auto layer = head("iou_loss=giou\ndelta_normalizer=.5\n");
  HeadCase c = head_case(4, false);
  const HeadStep once = testing::head_step_on_gpu(*layer, c);
  c.dx = Write::accumulate;
  c.dx_before = 2;
  c.loss_scale = 64;
  const HeadStep added = testing::head_step_on_gpu(*layer, c);
  for (size_t i = 0; i < once.dx.size(); ++i) ASSERT_NEAR(added.dx[i], 2 + 64 * once.dx[i], 1e-4) << i;
  EXPECT_EQ(added.padding, 0);
  testing::expect_same_losses(once.loss, added.loss, 0, "two passes");
}

TEST(yolo_cuda, sixteen_bits) {
  const auto layer = head("iou_loss=ciou\n");
  HeadCase c = head_case(5, false);
  for (float& v : c.x) v = from_bf16(to_bf16(v));
  const HeadStep host = testing::head_step_on_host(*layer, c);
  c.bf16 = true;
  const HeadStep gpu = testing::head_step_on_gpu(*layer, c);
  testing::expect_same_values(host.y, gpu.y, 1e-5, "y");
  testing::expect_same_values(host.dx, gpu.dx, 1.0 / 256, "dx");
  testing::expect_same_losses(host.loss, gpu.loss, 1e-5, "losses");
}

TEST(yolo_cuda, many_classes_and_one) {
  for (const int classes : {1, 83}) {
    const auto layer = testing::settled(
        testing::parse_head<Yolo>(concat("[yolo]\nmask=0,1\nanchors=6,8, 24,20\nnum=2\niou_thresh=.2\nclasses=", classes, "\n"), "y.cfg", 5));
    const Shape shape{2, 2 * (5 + classes), 5, 7};
    HeadCase c{.shape = shape, .network = {2, 3, 40, 56}, .x = random_values(shape.count(), 8, -2, 2), .truths = {}};
    c.truths = {testing::wild_truths(9, classes, 60), testing::wild_truths(10, classes, 3)};
    testing::expect_same_step(testing::head_step_on_host(*layer, c), testing::head_step_on_gpu(*layer, c), 1e-5, concat(classes, " classes"));
  }
}

namespace {

constexpr int kHeadLayer = 2;  // of convolutional_text

// Batches of four images in two mini-batches, through a plan.
struct Training {
  std::vector<LossReport> last, sums;  // per mini-batch, per batch
  std::vector<float> dx;               // of the layer above the head, over the last batch
  LabelRejection::State state;
  DeltaSums measured;
};

Training train(dn::Device& device, const std::string& text, int iterations, uint64_t first_iteration) {
  Network network = Network::from_text(text);
  network.params().initialize(1);
  Plan plan(network, device, network.input(2), {.training = true, .keep_outputs = true});
  const std::vector<float> images = random_values(2 * plan.input_shape().count(), 9, 0, 1);
  const std::vector<std::vector<TruthBox>> truths{{{{.31f, .27f, .2f, .22f}, 1}},
                                                  {},
                                                  {{{.12f, .86f, .2f, .4f}, 0}, {{.72f, .55f, .6f, .7f}, 3}, {{.13f, .86f, .2f, .4f}, 2}},
                                                  {{{.5f, .5f, .2f, .2f}, 2}}};
  Training out;
  for (int i = 0; i < iterations; ++i) {
    out.dx.clear();
    for (const uint64_t first : {0, 2}) {
      Pass pass;
      pass.training = true;
      pass.iteration = first_iteration + static_cast<uint64_t>(i);
      pass.first_image = first;
      pass.micro_step = static_cast<int>(first / 2);
      pass.micro_steps = 2;
      pass.param_grads = first ? Write::accumulate : Write::overwrite;
      pass.truth = std::span(truths).subspan(first, 2);
      plan.set_input(images.data() + first * plan.input_shape().per_image());
      plan.forward(pass);
      plan.backward(pass);
      if (i % 2 == 0) out.last.push_back(plan.loss(kHeadLayer));
      const Tensor dx = plan.output_gradient(kHeadLayer - 1);
      const Shape& s = dx.desc.shape;
      for (int n = 0; n < s.n; ++n)
        for (int c = 0; c < s.c; ++c)
          for (int y = 0; y < s.h; ++y)
            for (int x = 0; x < s.w; ++x) out.dx.push_back(dx.at(n, c, y, x));
    }
    out.sums.push_back(plan.take_losses(kHeadLayer));
    if (!network.rejection()) continue;
    out.measured = network.rejection()->finish_batch();
    out.state = network.rejection()->state();
  }
  return out;
}

void expect_same_training(const std::string& text, uint64_t first_iteration) {
  cpu::Device host({.threads = 2});
  cuda::Device gpu(testing::gpu_options(cuda::Precision::fp32));
  const Training expected = train(host, text, 4, first_iteration), got = train(gpu, text, 4, first_iteration);
  ASSERT_EQ(expected.sums.size(), got.sums.size());
  for (size_t i = 0; i < expected.last.size(); ++i) testing::expect_same_losses(expected.last[i], got.last[i], 2e-5, concat("mini-batch ", i));
  for (size_t i = 0; i < expected.sums.size(); ++i) testing::expect_same_losses(expected.sums[i], got.sums[i], 2e-5, concat("batch ", i));
  EXPECT_GT(expected.sums.back().assigned, 0);
  testing::expect_same_values(expected.dx, got.dx, 2e-5, "gradient of the layer above");
  EXPECT_EQ(expected.measured.count, got.measured.count);
  EXPECT_EQ(expected.measured.left_out, got.measured.left_out);
  EXPECT_EQ(expected.measured.too_large, got.measured.too_large);
  const auto near = [](double a, double b) { return std::fabs(a - b) <= 1e-5 * std::fabs(a); };
  EXPECT_TRUE(near(expected.state.mean, got.state.mean) && near(expected.state.maximum, got.state.maximum) &&
              near(expected.state.deviation, got.state.deviation) && near(expected.state.threshold, got.state.threshold));
}

std::string convolutional_text(const std::string& net) {
  return concat("[net]\nwidth=64\nheight=48\nchannels=3\nbatch=4\nsubdivisions=2\nmax_batches=40\n", net,
                "[convolutional]\nfilters=12\nsize=8\nstride=8\nactivation=leaky\n[convolutional]\nfilters=27\nsize=1\nactivation=linear\n[yolo]\n",
                kHead, "iou_loss=ciou\niou_thresh=.2\n");
}

}  // namespace

// From the second batch on, its steps are recorded ones: they see the truths of their pass.
TEST(yolo_cuda, a_network_learns_the_same) { expect_same_training(convolutional_text(""), 0); }

TEST(yolo_cuda, bad_labels_are_left_out) {
  const std::string keys = "badlabels_rejection_percentage=5\nnum_sigmas_reject_badlabels=2\nequidistant_point=10\n";
  expect_same_training(convolutional_text(keys), 31);
  expect_same_training(convolutional_text(keys), 8);  // from the third batch on
}

}  // namespace dn
