// The kernel around the loss: layouts, padding lanes, write modes, threads; and decoding.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "layers/yolo/yolo.h"
#include "layers/yolo/yolo_loss.h"
#include "nn/activation.h"

namespace dn {
namespace {

enum { kObjectness = 4, kFirstClass = 5 };   // entries of a [yolo] head

constexpr Shape kNet{3, 3, 48, 64}, kShape{3, 27, 6, 8};

std::unique_ptr<Yolo> head(const std::string& extra = {}) {
  Problems problems;
  const std::string text = "[net]\n[yolo]\nmask=1,2,4\nanchors=6,8, 14,10, 12,22, 26,20, 40,30, 50,44\nclasses=4\nnum=6\n";
  auto layer = Yolo::parse(parse_sections(text + extra, "y.cfg", problems).at(1), NetSpec{}, 1, problems);
  problems.settle();
  return layer;
}

std::vector<std::vector<TruthBox>> truths_of_three() {
  return {{{{.31f, .27f, .2f, .22f}, 1}, {{.72f, .55f, .6f, .7f}, 3}}, {}, {{{.12f, .86f, .2f, .4f}, 0}}};
}

struct StepResult {
  std::vector<float> y, dx;
  LossReport loss;
};

// One training step of the head on inputs that depend on the channel layout in storage only.
StepResult run_step(const Yolo& layer, int block, int threads, Write mode, float dx_before) {
  cpu::Device device({.threads = threads, .block = 8});
  const TensorDesc x_desc{kShape, block}, y_desc{kShape, 1};
  std::vector<float> x(x_desc.count(), 0), dx(x_desc.count(), dx_before);
  Tensor input{x_desc, x.data()};
  Rng rng(1, RandomUse::test);
  for (int n = 0; n < kShape.n; ++n)
    for (int c = 0; c < kShape.c; ++c)
      for (int row = 0; row < kShape.h; ++row)
        for (int column = 0; column < kShape.w; ++column) input.at(n, c, row, column) = static_cast<float>(rng.uniform(-2, 2));
  KernelArgs args{.x = {x_desc}, .y = y_desc, .network_input = kNet, .training = true, .backward = true, .dx = {mode}};
  const auto kernel = Yolo::compile_cpu(layer, device, args);
  StepResult out;
  out.y.assign(y_desc.count(), NAN);
  std::vector<float> saved(kernel->needs().saved.at(0) / sizeof(float), NAN);
  const Tensor inputs[] = {input}, gradients[] = {{x_desc, dx.data()}};
  std::byte* const kept[] = {reinterpret_cast<std::byte*>(saved.data())};
  Io io{.x = inputs, .dx = gradients, .y = {y_desc, out.y.data()}, .saved = kept, .loss = &out.loss};
  const auto truths = truths_of_three();
  Pass pass;
  pass.training = true;
  pass.truth = truths;
  kernel->forward(io, pass);
  kernel->backward(io, pass);
  for (int n = 0; n < kShape.n; ++n)
    for (int c = 0; c < x_desc.padded_channels(); ++c)
      for (int row = 0; row < kShape.h; ++row)
        for (int column = 0; column < kShape.w; ++column) {
          const float value = gradients[0].at(n, c, row, column);
          if (c < kShape.c)
            out.dx.push_back(value);
          else
            EXPECT_EQ(value, mode == Write::overwrite ? 0 : dx_before) << "padding lane " << c;
        }
  return out;
}

}  // namespace

TEST(yolo_cpu, every_layout_and_thread_count_gives_the_same) {
  const auto layer = head("iou_loss=ciou\nscale_x_y=1.1\n");
  const StepResult plain = run_step(*layer, 1, 1, Write::overwrite, NAN);
  EXPECT_GT(plain.loss.assigned, 0);
  EXPECT_EQ(plain.loss.truths, 3);
  for (const int block : {1, 8, 16})
    for (const int threads : {1, 2, 3}) {
      const StepResult other = run_step(*layer, block, threads, Write::overwrite, NAN);
      EXPECT_EQ(other.y, plain.y);
      EXPECT_EQ(other.dx, plain.dx);
      EXPECT_EQ(other.loss.cost, plain.loss.cost);
      EXPECT_EQ(other.loss.iou_sum, plain.loss.iou_sum);
    }
}

TEST(yolo_cpu, gradient_is_minus_delta_and_adds_up) {
  const auto layer = head("iou_loss=giou\ndelta_normalizer=.5\n");
  const StepResult once = run_step(*layer, 8, 1, Write::overwrite, NAN), added = run_step(*layer, 8, 1, Write::accumulate, 0);
  EXPECT_EQ(once.dx, added.dx);
  const AnchorGrid grid{kShape.w, kShape.h, kNet.w, kNet.h};
  std::vector<float> delta(kShape.count());
  const auto truths = truths_of_three();
  for (size_t n = 0; n < 3; ++n)
    yolo_image_loss(layer->rules(), grid, once.y.data() + n * kShape.per_image(), truths[n], delta.data() + n * kShape.per_image());
  for (size_t i = 0; i < delta.size(); ++i) ASSERT_FLOAT_EQ(once.dx[i], -.5f * delta[i]);
  const StepResult on_top = run_step(*layer, 8, 1, Write::accumulate, 2);
  for (size_t i = 0; i < delta.size(); ++i) ASSERT_NEAR(on_top.dx[i], 2 + once.dx[i], 1e-6);
}

TEST(yolo_cpu, inference_asks_for_nothing_and_activates) {
  const auto layer = head("scale_x_y=1.2\n");
  cpu::Device device({.threads = 1, .block = 8});
  const TensorDesc desc{{1, 27, 2, 2}, 8}, plain{{1, 27, 2, 2}, 1};
  const auto kernel = Yolo::compile_cpu(*layer, device, {.x = {desc}, .y = plain, .network_input = {1, 3, 16, 16}, .dx = {Write::none}});
  EXPECT_TRUE(kernel->needs().saved.empty());
  std::vector<float> x(desc.count(), .5f), y(plain.count(), NAN);
  const Tensor inputs[] = {{desc, x.data()}};
  kernel->forward({.x = inputs, .y = {plain, y.data()}}, {});
  const float s = activate(Activation::logistic, .5f);
  const Tensor out{plain, y.data()};
  for (int a = 0; a < 3; ++a) {
    EXPECT_NEAR(out.at(0, 9 * a + kX, 1, 1), 1.2f * s - .1f, 1e-6);
    EXPECT_NEAR(out.at(0, 9 * a + kY, 0, 1), 1.2f * s - .1f, 1e-6);
    EXPECT_EQ(out.at(0, 9 * a + kW, 1, 0), .5f);
    EXPECT_NEAR(out.at(0, 9 * a + kObjectness, 1, 0), s, 1e-6);
    EXPECT_NEAR(out.at(0, 9 * a + 8, 0, 0), s, 1e-6);
  }
}

TEST(yolo_cpu, decodes_what_is_above_the_threshold) {
  const auto layer = head();
  const TensorDesc desc{kShape, 1};
  std::vector<float> v(desc.count(), 0);
  const Tensor out{desc, v.data()};
  const int image = 2, row = 4, column = 5, first = 9;   // second of the mask: anchor 2, 12 x 22
  out.at(image, first + kX, row, column) = .25f;
  out.at(image, first + kY, row, column) = .5f;
  out.at(image, first + kW, row, column) = std::log(2.0f);
  out.at(image, first + kObjectness, row, column) = .8f;
  out.at(image, first + 6, row, column) = .5f;
  out.at(image, first + 7, row, column) = .1f;
  out.at(image, 18 + kObjectness, row, column) = .9f;      // a box without finite size
  out.at(image, 18 + kH, row, column) = 1000;
  out.at(image, kObjectness, 0, 0) = NAN;
  std::vector<Detection> found;
  layer->decode(out, image, kNet, {.threshold = .2f}, found);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FLOAT_EQ(found[0].box.x, 5.25f / 8);
  EXPECT_FLOAT_EQ(found[0].box.y, 4.5f / 6);
  EXPECT_FLOAT_EQ(found[0].box.w, 2 * 12.0f / 64);
  EXPECT_FLOAT_EQ(found[0].box.h, 22.0f / 48);
  EXPECT_EQ(found[0].prob, (std::vector<float>{0, .4f, 0, 0}));
  layer->decode(out, 0, kNet, {.threshold = .2f}, found);
  EXPECT_EQ(found.size(), 1u);
}

}  // namespace dn
