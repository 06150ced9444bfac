#include "layers/gaussian_yolo/gaussian_yolo.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/gaussian_yolo/gaussian_yolo_loss.h"
#include "layers/gaussian_yolo/gaussian_yolo_ref.h"
#include "nn/activation.h"
#include "tests/harness/head_section.h"

namespace dn {
namespace {

constexpr const char* kHead = "mask=1,2,4\nanchors=6,8, 14,10, 12,22, 26,20, 40,30, 50,44\nclasses=4\nnum=6\nmax=20\n";
constexpr AnchorGrid kGrid{8, 6, 64, 48};
constexpr size_t kPlane = 48, kChannels = 39;

using Parsed = testing::ParsedHead<GaussianYolo>;

Parsed parse(const std::string& keys) { return testing::parse_head<GaussianYolo>("[Gaussian_yolo]\n" + keys, "g.cfg", 139); }

std::unique_ptr<GaussianYolo> head(const std::string& extra = {}) { return testing::settled(parse(kHead + extra)); }

std::vector<float> random_inputs(uint64_t seed) {
  Rng rng(seed, RandomUse::test);
  std::vector<float> v(kChannels * kPlane);
  for (float& value : v) value = static_cast<float>(rng.uniform(-1, 1));
  return v;
}

std::vector<float> activated(const AnchorRules& rules, const std::vector<float>& x) {
  std::vector<float> y = x;
  for (size_t i = 0; i < y.size(); ++i) {
    const int entry = static_cast<int>(i / kPlane) % rules.entries();
    if (entry == 4 || entry == 6) continue;   // w, h
    y[i] = activate(Activation::logistic, x[i]);
    if (entry == 0 || entry == 2) y[i] = rules.scale_x_y * y[i] - (rules.scale_x_y - 1) / 2;
  }
  return y;
}

struct Outcome {
  std::vector<float> delta;
  AnchorImageLoss loss;
};

Outcome loss_of(const AnchorRules& rules, const std::vector<float>& output, const std::vector<TruthBox>& truths) {
  Outcome out;
  out.delta.assign(output.size(), NAN);
  out.loss = gaussian_yolo_image_loss(rules, kGrid, output.data(), truths, out.delta.data());
  return out;
}

}  // namespace

TEST(gaussian_yolo, keys_and_shapes) {
  const auto plain = head();
  EXPECT_EQ(plain->rules().channels(), 39);
  EXPECT_FLOAT_EQ(plain->rules().uc_normalizer, 1);
  EXPECT_EQ(plain->rules().point, BoxPoint::center);
  const auto other = head("uc_normalizer=.5\nyolo_point=right_bottom\nnms_kind=cornersnms\niou_loss=giou\nmax_delta=5\n");
  EXPECT_FLOAT_EQ(other->rules().uc_normalizer, .5f);
  EXPECT_EQ(other->rules().point, BoxPoint::right_bottom);
  EXPECT_EQ(other->nms_kind(), NmsKind::standard);
  EXPECT_EQ(head("nms_kind=diounms\n")->nms_kind(), NmsKind::diou);
  for (const KeyHelp& row : GaussianYolo::keys()) EXPECT_FALSE(row.doc.empty()) << row.name;
  for (const char* wrong : {"yolo_point=middle", "nms_kind=best", "uc_normalizer=-1"})
    EXPECT_TRUE(parse(concat(kHead, wrong, "\n")).problems.failed()) << wrong;
  EXPECT_EQ(parse(concat(kHead, "new_coords=1\n")).problems.warnings().size(), 1u);
  const Shape bad[] = {{2, 27, 6, 8}};
  try {
    plain->output_shape(bad);
    FAIL() << "27 channels were accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("gives 27 channels; expected 39 = 3 masks x (9 + 4)"), std::string::npos) << error.what();
  }
}

TEST(gaussian_yolo, exact_gradient_is_the_derivative_of_the_loss) {
  const auto layer = head("exact_gradient=1\niou_normalizer=1\nscale_x_y=1.2\n");
  const AnchorRules& rules = layer->rules();
  const TruthBox truth{{.31f, .27f, .2f, .22f}, 1};   // 12.8 x 10.6 pixels: anchor 1, the first of the mask; cell 2, 1
  const double t[4] = {static_cast<double>(truth.box.x) * 8 - 2, static_cast<double>(truth.box.y) * 6 - 1, std::log(.2 * 64 / 14),
                       std::log(.22 * 48 / 10)};
  const size_t cell = 8 + 2;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector<float> x = random_inputs(seed);
    const Outcome out = loss_of(rules, activated(rules, x), {truth});
    ASSERT_EQ(out.loss.assigned, 1);
    double in[8];
    for (size_t e = 0; e < 8; ++e) in[e] = static_cast<double>(x[e * kPlane + cell]);
    for (size_t e = 0; e < 8; ++e) {
      const double at = in[e], step = 1e-6;
      in[e] = at + step;
      const double up = gaussian_yolo_box_loss(in, t, 1.2, .2 * .22);
      in[e] = at - step;
      const double down = gaussian_yolo_box_loss(in, t, 1.2, .2 * .22);
      in[e] = at;
      const double expected = (up - down) / (2 * step);
      EXPECT_NEAR(-out.delta[e * kPlane + cell], expected, 1e-4 * std::max(1.0, std::fabs(expected))) << "seed " << seed << " entry " << e;
    }
  }
}

TEST(gaussian_yolo, weights_and_bounds_of_the_gradient) {
  const std::vector<float> output = activated(head()->rules(), random_inputs(3));
  const std::vector<TruthBox> truth{{{.31f, .27f, .2f, .22f}, 1}};
  const auto delta = [&](const std::string& keys) { return loss_of(head(keys)->rules(), output, truth).delta; };
  const std::vector<float> plain = delta(""), halved = delta("uc_normalizer=.5\niou_normalizer=1.5\n"), similarity = delta("iou_loss=giou\n");
  const size_t cell = 8 + 2;
  for (size_t e = 0; e < 8; ++e) {
    const size_t i = e * kPlane + cell;
    ASSERT_NE(plain[i], 0);
    EXPECT_NEAR(halved[i], plain[i] * (e % 2 ? .5f : 2.f), 1e-5f * std::fabs(plain[i]));
    if (e % 2)
      EXPECT_EQ(similarity[i], plain[i]);   // uncertainties are taught by the likelihood in any case
    else
      EXPECT_NE(similarity[i], plain[i]);
  }
  for (const float v : delta("max_delta=.01\n"))
    EXPECT_TRUE(std::isfinite(v));
  const std::vector<float> bounded = delta("max_delta=.01\n");
  for (size_t e = 0; e < 8; ++e) EXPECT_LE(std::fabs(bounded[e * kPlane + cell]), .01f);
  std::vector<float> certain = output;
  for (size_t e = 1; e < 8; e += 2) certain[e * kPlane + cell] = 0;   // an uncertainty that underflowed
  for (const float v : loss_of(head()->rules(), certain, truth).delta) ASSERT_TRUE(std::isfinite(v));
}

// x, y may be a corner; box and truth then meet in the corner's cell.
TEST(gaussian_yolo, points_of_the_box) {
  const Box truth{.45f, .5f, .2f, .22f};
  const struct {
    const char* name;
    float x, y;
  } points[] = {{"center", .45f, .5f}, {"left_top", .35f, .39f}, {"right_bottom", .55f, .61f}};
  for (const auto& point : points) {
    const auto layer = head(concat("yolo_point=", point.name, "\n"));
    const AnchorRules& rules = layer->rules();
    const size_t column = static_cast<size_t>(point.x * 8), row = static_cast<size_t>(point.y * 6), cell = row * 8 + column;
    std::vector<float> output = activated(rules, random_inputs(4));
    const float exact[] = {point.x * 8 - static_cast<float>(column), point.y * 6 - static_cast<float>(row), std::log(.2f * 64 / 14),
                           std::log(.22f * 48 / 10)};
    for (size_t e = 0; e < 4; ++e) output[2 * e * kPlane + cell] = exact[e];
    const Box box = anchor_box(rules, kGrid, output.data(), 0, cell);
    EXPECT_NEAR(box.x, truth.x, 1e-6) << point.name;
    EXPECT_NEAR(box.y, truth.y, 1e-6) << point.name;
    const Outcome out = loss_of(rules, output, {{truth, 2}});
    EXPECT_GT(out.delta[8 * kPlane + cell], 0) << point.name;
    for (size_t e = 0; e < 8; e += 2) EXPECT_NEAR(out.delta[e * kPlane + cell], 0, 1e-4) << point.name;
    EXPECT_NEAR(out.loss.iou_sum, 1, 1e-5);
  }
  const auto layer = head("yolo_point=right_bottom\n");   // a corner outside the picture belongs to the last cell
  const Outcome out = loss_of(layer->rules(), activated(layer->rules(), random_inputs(5)), {{{.95f, .95f, .2f, .22f}, 2}});
  EXPECT_GT(out.delta[8 * kPlane + 47], 0);
}

// As in the family [yolo] alone leaves labels out; beside one, this head adds nothing to what is measured there.
TEST(gaussian_yolo, no_label_is_left_out) {
  ::testing::internal::CaptureStderr();
  Network network = Network::from_text(concat("[net]\nwidth=64\nheight=48\nchannels=3\nmax_batches=40\nequidistant_point=10\n"
                                              "badlabels_rejection_percentage=5\n[convolutional]\nfilters=39\nsize=8\nstride=8\nactivation=linear\n"
                                              "[Gaussian_yolo]\n", kHead));
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("only [yolo] leaves labels out"), std::string::npos);
  network.params().initialize(1);
  cpu::Device device({.threads = 1, .block = 8});
  Plan plan(network, device, network.input(1), {.training = true});
  const std::vector<float> image(3 * 48 * 64, .5f);
  const std::vector<std::vector<TruthBox>> truths{{{{.31f, .27f, .2f, .22f}, 1}}};
  Pass pass;
  pass.training = true;
  pass.iteration = 35;
  pass.truth = truths;
  plan.set_input(image.data());
  plan.forward(pass);
  ASSERT_NE(network.rejection(), nullptr);
  ASSERT_TRUE(network.rejection()->bounds(35).has_value());
  EXPECT_EQ(network.rejection()->finish_batch().count, 0);
}

TEST(gaussian_yolo, uncertain_boxes_are_less_probable) {
  const auto layer = head();
  const TensorDesc desc{{1, 39, 6, 8}, 1};
  std::vector<float> v(desc.count(), 0);
  const Tensor out{desc, v.data()};
  const int first = 13;
  out.at(0, first + 0, 2, 3) = .5f;
  out.at(0, first + 2, 2, 3) = .25f;
  const float uncertainty[] = {.1f, .2f, .3f, .4f};
  for (int e = 0; e < 4; ++e) out.at(0, first + 2 * e + 1, 2, 3) = uncertainty[e];
  out.at(0, first + 8, 2, 3) = .8f;
  out.at(0, first + 10, 2, 3) = .5f;
  out.at(0, first + 11, 2, 3) = .2f;
  std::vector<Detection> found;
  layer->decode(out, 0, {1, 3, 48, 64}, {.threshold = .2f}, found);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].box.x, 3.5f / 8);
  EXPECT_FLOAT_EQ(found[0].box.y, 2.25f / 6);
  EXPECT_FLOAT_EQ(found[0].box.w, 12.f / 64);
  EXPECT_FLOAT_EQ(found[0].objectness, .8f);
  EXPECT_FLOAT_EQ(found[0].prob[1], .8f * .5f * .75f);
  EXPECT_EQ(found[0].prob[2], 0);
}

}  // namespace dn
