// [yolo] keys that reach beyond one image's plain loss: objectness_smooth in both forms, labels that are left out, cells that others learn from,
// embeddings.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/yolo/yolo.h"
#include "layers/yolo/yolo_loss.h"
#include "tests/harness/tensors.h"

namespace dn {
namespace {

const std::string kHead = "[yolo]\nmask=1,2,4\nanchors=6,8, 14,10, 12,22, 26,20, 40,30, 50,44\nclasses=4\nnum=6\n";
constexpr AnchorGrid kGrid{8, 6, 64, 48};

std::vector<float> random_values(size_t count, uint64_t seed, double low, double high) {
  Rng rng(seed, RandomUse::test);
  std::vector<float> v(count);
  for (float& value : v) value = static_cast<float>(rng.uniform(low, high));
  return v;
}

AnchorRules rules_of(const std::string& keys) {
  Problems problems;
  auto layer = Yolo::parse(parse_sections("[net]\n" + kHead + keys, "y.cfg", problems).at(1), NetSpec{}, 5, problems);
  problems.settle();
  return layer->rules();
}

std::string network_text(const std::string& net, const std::string& yolo, int embedding = 15) {
  return concat("[net]\nwidth=64\nheight=48\nchannels=3\nbatch=4\nsubdivisions=2\nmax_batches=40\n", net, "[convolutional]\nfilters=", embedding,
                "\nsize=8\nstride=8\nactivation=linear\n[convolutional]\nfilters=27\nsize=1\nactivation=linear\n", kHead, yolo);
}

std::string complaint(const std::string& text) {
  try {
    Network::from_text(text, "y.cfg");
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

// The objectness delta of the only truth's cell: first of the mask, row 2, column 4; and the overlap of its box.
struct Positive {
  float delta = 0, objectness = 0, overlap = 0;
};

Positive positive_of(const AnchorRules& rules, const std::vector<float>& output, const TruthBox& truth) {
  std::vector<float> delta(output.size(), NAN);
  yolo_image_loss(rules, kGrid, output.data(), std::vector<TruthBox>{truth}, delta.data());
  const size_t cell = 2 * 8 + 4, at = anchor_plane(rules, kGrid, 0, rules.objectness()) + cell;
  return {delta[at], output[at], iou(anchor_box(rules, kGrid, output.data(), 0, cell), truth.box)};
}

}  // namespace

// An assigned cell whose box does not pass ignore_thresh: the family pushes it towards no object, the exact form towards its overlap.
TEST(yolo_keys, objectness_smooth_of_assigned_cells) {
  const TruthBox truth{{.55f, .45f, .22f, .2f}, 1};  // 14.1 x 9.6 pixels: anchor 1
  const std::vector<float> output = random_values(27 * kGrid.plane(), 3, .3, .9);
  const std::string keys = "objectness_smooth=1\nobj_normalizer=.5\nignore_thresh=.7\n";
  const Positive family = positive_of(rules_of(keys), output, truth);
  ASSERT_GT(family.overlap, .1f);
  ASSERT_LT(family.overlap, .7f);
  EXPECT_FLOAT_EQ(family.delta, -.5f * family.objectness);
  const Positive exact = positive_of(rules_of(keys + "exact_gradient=1\n"), output, truth);
  EXPECT_FLOAT_EQ(exact.delta, .5f * (exact.overlap - exact.objectness));
  const Positive weighted = positive_of(rules_of(keys + "exact_gradient=1\ncounters_per_class=30,10,15,30\n"), output, truth);
  EXPECT_FLOAT_EQ(weighted.delta, 3 * exact.delta);
  const Positive plain = positive_of(rules_of("obj_normalizer=.5\nexact_gradient=1\n"), output, truth);
  EXPECT_FLOAT_EQ(plain.delta, .5f * (1 - plain.objectness));
}

TEST(yolo_keys, objectness_smooth_above_truth_thresh) {
  const TruthBox truth{{.55f, .45f, .22f, .2f}, 1};
  const std::vector<float> output = random_values(27 * kGrid.plane(), 3, .3, .9);
  const std::string keys = "objectness_smooth=1\nignore_thresh=.05\ntruth_thresh=.1\n";
  const Positive family = positive_of(rules_of(keys), output, truth), exact = positive_of(rules_of(keys + "exact_gradient=1\n"), output, truth);
  EXPECT_FLOAT_EQ(family.delta, family.overlap * family.overlap - family.objectness);
  EXPECT_FLOAT_EQ(exact.delta, exact.overlap - exact.objectness);
}

TEST(yolo_keys, multipliers_are_capped_and_counts_below_one_are_one) {
  const std::vector<float> expected{1, 4, 5, 5};
  EXPECT_EQ(rules_of("counters_per_class=100,25,10,0\nmax_delta=5\n").class_multipliers, expected);
  EXPECT_EQ(rules_of("counters_per_class=100,25,10,0\n").class_multipliers, (std::vector<float>{1, 4, 10, 100}));
}

namespace {

struct Step {
  std::vector<float> dx;  // of the layer above the head, over the batch
  LabelRejection::State state;
  double count = 0, left_out = 0;
  float largest = 0;
};

// Three batches of four images at iterations 31, 32, 33 of 40, cut and ordered as told; the last one's gradient.
Step train_at_the_end(const std::string& keys, const std::vector<int>& first_images, int mini_batch, int threads) {
  Network network = Network::from_text(network_text(keys, "iou_loss=ciou\n"));
  network.params().initialize(1);
  cpu::Device device({.threads = threads, .block = 8});
  Plan plan(network, device, network.input(mini_batch), {.training = true, .keep_outputs = true});
  const std::vector<float> images = random_values(4 * 3 * 48 * 64, 9, 0, 1);
  const std::vector<std::vector<TruthBox>> truths{
      {{{.31f, .27f, .2f, .22f}, 1}}, {}, {{{.12f, .86f, .2f, .4f}, 0}, {{.72f, .55f, .6f, .7f}, 3}}, {{{.5f, .5f, .2f, .2f}, 2}}};
  Step out;
  out.dx.assign(4 * 27 * kGrid.plane(), NAN);
  for (uint64_t iteration = 31; iteration <= 33; ++iteration) {
    for (const int first : first_images) {
      Pass pass;
      pass.training = true;
      pass.iteration = iteration;
      pass.first_image = static_cast<uint64_t>(first);
      pass.truth = std::span(truths).subspan(static_cast<size_t>(first), static_cast<size_t>(mini_batch));
      plan.set_input(images.data() + static_cast<size_t>(first) * 3 * 48 * 64);
      plan.forward(pass);
      plan.backward(pass);
      const Tensor dx = plan.output_gradient(1);
      std::ranges::copy(testing::unpack<float>(dx), out.dx.begin() + static_cast<std::ptrdiff_t>(first) * 27 * 48);
    }
    if (!network.rejection()) continue;
    const DeltaSums sums = network.rejection()->finish_batch();
    out.count = sums.count;
    out.left_out = sums.left_out;
    out.state = network.rejection()->state();
  }
  for (const float v : out.dx) out.largest = std::max(out.largest, std::fabs(v));
  return out;
}

}  // namespace

TEST(yolo_keys, bad_labels_are_left_out_of_the_gradient) {
  const std::string keys = "badlabels_rejection_percentage=.1\nnum_sigmas_reject_badlabels=2\nequidistant_point=10\n";
  const Step all = train_at_the_end({}, {0}, 4, 1), some = train_at_the_end(keys, {0}, 4, 1);
  EXPECT_GT(some.left_out, 0);
  EXPECT_LT(some.left_out, some.count);
  EXPECT_FLOAT_EQ(static_cast<float>(some.state.maximum), all.largest);  // the same images three times
  double gone = 0;
  for (size_t i = 0; i < all.dx.size(); ++i) {
    gone += all.dx[i] != 0 && some.dx[i] == 0;
    EXPECT_TRUE(some.dx[i] == all.dx[i] || some.dx[i] == 0) << i;
  }
  EXPECT_EQ(gone, some.left_out);
}

TEST(yolo_keys, bad_labels_do_not_depend_on_the_split_or_on_threads) {
  const std::string keys = "badlabels_rejection_percentage=5\nnum_sigmas_reject_badlabels=2\nequidistant_point=10\n";
  const Step whole = train_at_the_end(keys, {0}, 4, 1);
  for (const int threads : {1, 3})
    for (const std::vector<int>& order : {std::vector<int>{0, 2}, std::vector<int>{2, 0}}) {
      const Step parts = train_at_the_end(keys, order, 2, threads);
      EXPECT_EQ(parts.state, whole.state);
      EXPECT_EQ(parts.left_out, whole.left_out);
      EXPECT_EQ(parts.dx, whole.dx);
    }
}

TEST(yolo_keys, bad_label_keys_without_a_head_that_acts_on_them) {
  ::testing::internal::CaptureStderr();
  const Network network = Network::from_text("[net]\nwidth=8\nheight=8\nequidistant_point=10\n[avgpool]\n", "y.cfg");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("only [yolo] leaves labels out, and there is none: no effect"), std::string::npos);
}

TEST(yolo_keys, positives_are_the_assigned_cells) {
  Problems problems;
  const auto parsed = [&](const std::string& keys) {
    return Yolo::parse(parse_sections("[net]\n" + kHead + keys, "y.cfg", problems).at(1), NetSpec{}, 5, problems);
  };
  const std::vector<TruthBox> truths{{{.55f, .45f, .22f, .2f}, 1, 70},  // anchor 1
                                     {{.2f, .2f, .1f, .16f}, 1, 71},    // 6.4 x 7.7 pixels: anchor 0, another head's
                                     {{1, 1, .6f, .6f}, 3, 72},         // 38 x 29: anchor 4; on the border
                                     {{.5f, .5f, .2f, .4f}, 9, 73},     // no such class
                                     {{.5f, .5f, .2f, .4f}, 2, 0}};     // anchor 2, object not known
  const auto cells = parsed("")->positives(truths, {1, 27, 6, 8}, {1, 3, 48, 64});
  ASSERT_EQ(cells.size(), 3u);
  EXPECT_EQ(cells[0].anchor, 0);
  EXPECT_EQ(cells[0].cell, 2u * 8 + 4);
  EXPECT_EQ(cells[0].class_id, 1);
  EXPECT_EQ(cells[0].object, 70u);
  EXPECT_EQ(cells[1].anchor, 2);
  EXPECT_EQ(cells[1].cell, 47u);
  EXPECT_EQ(cells[2].anchor, 1);
  EXPECT_EQ(cells[2].object, 0u);
  EXPECT_GT(parsed("iou_thresh=.2\n")->positives(truths, {1, 27, 6, 8}, {1, 3, 48, 64}).size(), 3u);
  EXPECT_EQ(parsed("max=1\n")->positives(truths, {1, 27, 6, 8}, {1, 3, 48, 64}).size(), 1u);
}

TEST(yolo_keys, embedding_layer_is_checked) {
  EXPECT_EQ(complaint(network_text("", "embedding_layer=-2\n")), "");
  EXPECT_EQ(complaint(network_text("", "embedding_layer=999999\n")), "");
  EXPECT_NE(complaint(network_text("", "embedding_layer=-9\n")).find("embedding_layer = -9: -9 is not an earlier layer"), std::string::npos);
  const std::string wrong = complaint(network_text("", "embedding_layer=-2\n", 16));
  EXPECT_NE(wrong.find("embedding_layer = -2: layer 0 gives 8 x 6 x 16; expected 8 x 6 and a multiple of 3 channels"), std::string::npos) << wrong;
  const Network plain = Network::from_text(network_text("", ""));
  EXPECT_EQ(plain.heads()[0]->tracking(), nullptr);
  const Network network = Network::from_text(network_text("",
                                                          "embedding_layer=0\nsim_thresh=.7\ntrack_ciou_norm=.2\ntrack_history_size=20\n"
                                                          "dets_for_track=8\ndets_for_show=2\n"));
  const Head& head = *network.heads()[0];
  EXPECT_EQ(head.embedding_layer(), 0);
  ASSERT_NE(head.tracking(), nullptr);
  EXPECT_FLOAT_EQ(head.tracking()->similarity, .7f);
  EXPECT_FLOAT_EQ(head.tracking()->ciou_share, .2f);
  EXPECT_EQ(head.tracking()->history, 20);
  EXPECT_EQ(head.tracking()->frames_to_track, 8);
  EXPECT_EQ(head.tracking()->frames_to_show, 2);
}

// At inference the embedding layer's output outlives the layers behind it, and each detection finds its own part.
TEST(yolo_keys, detections_carry_the_embedding_of_their_cell) {
  Network network = Network::from_text(network_text("", "embedding_layer=0\n"));
  network.params().initialize(2);
  cpu::Device device({.threads = 1, .block = 8});
  const std::vector<float> image = random_values(3 * 48 * 64, 4, 0, 1);
  std::vector<std::vector<Detection>> found;
  for (const bool keep : {false, true}) {
    Plan plan(network, device, network.input(1), {.keep_outputs = keep});
    plan.set_input(image.data());
    plan.forward({});
    found.emplace_back();
    network.heads()[0]->decode(plan.output(2), 0, network.input(1), {.threshold = .4f}, found.back());
    take_embeddings(plan.output(0), 0, 3, found.back());
    const Tensor embeddings = plan.output(0);
    for (const Detection& d : found.back()) {
      ASSERT_EQ(d.embedding.size(), 5u);
      EXPECT_EQ(d.embedding[1], embeddings.at(0, 5 * d.anchor + 1, static_cast<int>(d.cell) / 8, static_cast<int>(d.cell) % 8));
      const AnchorRules& rules = static_cast<const Yolo&>(*network.layers()[2]).rules();
      const size_t at = anchor_plane(rules, kGrid, d.anchor, rules.objectness()) + d.cell;
      EXPECT_EQ(d.objectness, plan.output(2).data[at]);
    }
  }
  ASSERT_GT(found[0].size(), 10u);
  ASSERT_EQ(found[0].size(), found[1].size());
  for (size_t i = 0; i < found[0].size(); ++i) EXPECT_EQ(found[0][i].embedding, found[1][i].embedding);
}

}  // namespace dn
