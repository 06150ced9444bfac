#include "layers/detection/detection.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "layers/detection/detection_loss.h"
#include "layers/detection/detection_ref.h"
#include "tests/harness/head_section.h"

namespace dn {
namespace {

constexpr const char* kHead = "classes=3\ncoords=4\nnum=2\nside=5\n";   // 25 x (3 + 2 x 5) = 325 values

using Parsed = testing::ParsedHead<DetectionHead>;

Parsed parse(const std::string& keys) { return testing::parse_head<DetectionHead>("[detection]\n" + keys, "v1.cfg", 31); }

std::unique_ptr<DetectionHead> head(const std::string& extra = {}) { return testing::settled(parse(kHead + extra)); }

std::vector<TruthBox> some_truths() {
  return {{{.31f, .27f, .2f, .22f}, 1}, {{.72f, .55f, .6f, .7f}, 2}, {{.12f, .86f, .2f, .4f}, 0}, {{1, 1, .24f, .19f}, 2}};
}

std::vector<float> random_inputs(size_t count, uint64_t seed) {
  Rng rng(seed, RandomUse::test);
  std::vector<float> v(count);
  for (float& value : v) value = static_cast<float>(rng.uniform(-.2, 1));
  return v;
}

struct StepResult {
  std::vector<float> y, dx;
  LossReport loss;
};

StepResult run_step(const DetectionHead& layer, const std::vector<float>& x, const std::vector<TruthBox>& truths, uint64_t iteration = 0) {
  cpu::Device device({.threads = 2});
  const TensorDesc desc{{2, static_cast<int>(layer.rules().outputs()), 1, 1}, 1};
  StepResult out{std::vector<float>(desc.count(), NAN), std::vector<float>(desc.count(), NAN), {}};
  const auto kernel = DetectionHead::compile_cpu(
      layer, device, {.x = {desc}, .y = desc, .network_input = {2, 3, 48, 64}, .training = true, .backward = true, .dx = {Write::overwrite}});
  std::vector<float> input = x, saved(desc.count(), NAN);
  const Tensor inputs[] = {{desc, input.data()}}, gradients[] = {{desc, out.dx.data()}};
  std::byte* const kept[] = {reinterpret_cast<std::byte*>(saved.data())};
  const Io io{.x = inputs, .dx = gradients, .y = {desc, out.y.data()}, .saved = kept, .loss = &out.loss};
  const std::vector<std::vector<TruthBox>> all{truths, {}};
  Pass pass;
  pass.training = true;
  pass.truth = all;
  pass.iteration = iteration;
  kernel->forward(io, pass);
  kernel->backward(io, pass);
  return out;
}

// The box of a cell that learns a truth, by the gradient of its width.
int responsible(const DetectionHead& layer, const StepResult& step, size_t cell) {
  int found = -1;
  for (int b = 0; b < layer.rules().num; ++b)
    if (step.dx[layer.rules().box_at(cell, b) + 2] != 0) found = b;
  return found;
}

}  // namespace

TEST(detection, keys_and_shapes) {
  const auto layer = head("sqrt=1\nrescore=1\nnoobject_scale=.5\ncoord_scale=5\nmax=30\njitter=.3\n");
  EXPECT_EQ(layer->rules().outputs(), 325u);
  EXPECT_TRUE(layer->rules().sqrt && layer->rules().rescore);
  EXPECT_FLOAT_EQ(layer->rules().coord_scale, 5);
  EXPECT_EQ(layer->max_truths(), 30);
  EXPECT_EQ(layer->random(), 0);
  for (const KeyHelp& row : DetectionHead::keys()) EXPECT_FALSE(row.doc.empty()) << row.name;
  const Shape flat[] = {{2, 325, 1, 1}}, map[] = {{2, 13, 5, 5}}, bad[] = {{2, 1470, 1, 1}};
  EXPECT_EQ(layer->output_shape(flat), flat[0]);
  EXPECT_EQ(layer->output_shape(map), map[0]);
  try {
    layer->output_shape(bad);
    FAIL() << "1470 values were accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "v1.cfg:6: [detection] side = 5: layer 30 above gives 1470 values; expected 325 = side 5 x 5 x (classes 3 + num 2 x 5)");
  }
  EXPECT_TRUE(parse("coords=5\n").problems.failed());
  EXPECT_TRUE(parse("num=1\nforced=1\n").problems.failed());
  EXPECT_EQ(parse(concat(kHead, "reorg=1\n")).problems.warnings().size(), 1u);
}

TEST(detection, gradient_is_the_derivative_of_the_loss) {
  for (const char* keys : {"", "sqrt=1\nrescore=1\nnoobject_scale=.5\ncoord_scale=5\n", "softmax=1\nclass_scale=2\n", "forced=1\nobject_scale=3\n"}) {
    const auto layer = head(keys);
    const size_t outputs = layer->rules().outputs();
    const std::vector<float> x = random_inputs(2 * outputs, 3);
    const StepResult step = run_step(*layer, x, some_truths());
    DetectionReference reference{layer->rules(), {x.begin(), x.begin() + static_cast<std::ptrdiff_t>(outputs)}};
    std::vector<double> moved = reference.at;
    for (size_t i = 0; i < outputs; ++i) {
      const double at = moved[i], delta = 1e-5;
      moved[i] = at + delta;
      const double up = reference(moved, some_truths());
      moved[i] = at - delta;
      const double down = reference(moved, some_truths());
      moved[i] = at;
      ASSERT_NEAR(step.dx[i], (up - down) / (2 * delta), 2e-5) << keys << " value " << i;
    }
    EXPECT_EQ(step.loss.assigned, 4);
  }
}

TEST(detection, who_is_responsible) {
  const auto layer = head(), forced = head("forced=1\n"), random = head("random=1\n");
  const size_t cell = 2 * 5 + 2;
  std::vector<float> x = random_inputs(2 * layer->rules().outputs(), 5);
  const auto set_box = [&](int b, std::initializer_list<float> v) {
    std::copy(v.begin(), v.end(), x.begin() + static_cast<std::ptrdiff_t>(layer->rules().box_at(cell, b)));
  };
  const std::vector<TruthBox> small{{{.5f, .5f, .2f, .2f}, 1}}, large{{{.5f, .5f, .6f, .6f}, 1}};
  set_box(0, {.5f, .5f, .7f, .7f});
  set_box(1, {.5f, .5f, .25f, .25f});
  EXPECT_EQ(responsible(*layer, run_step(*layer, x, small), cell), 1);
  EXPECT_EQ(responsible(*layer, run_step(*layer, x, large), cell), 0);
  set_box(0, {-3, .5f, .1f, .1f});   // neither overlaps: the nearer one
  set_box(1, {-2, .5f, .1f, .1f});
  EXPECT_EQ(responsible(*layer, run_step(*layer, x, small), cell), 1);
  EXPECT_EQ(responsible(*forced, run_step(*forced, x, small), cell), 1);
  EXPECT_EQ(responsible(*forced, run_step(*forced, x, large), cell), 0);
  int second = 0;
  for (uint64_t iteration = 0; iteration < 64; ++iteration) second += responsible(*random, run_step(*random, x, small, iteration), cell);
  EXPECT_GT(second, 16);
  EXPECT_LT(second, 48);
  for (uint64_t iteration = kRandomImages; iteration < kRandomImages + 8; ++iteration)
    EXPECT_EQ(responsible(*random, run_step(*random, x, small, iteration), cell), 1);
}

TEST(detection, reports_without_and_with_truths) {
  const auto layer = head();
  const std::vector<float> x = random_inputs(2 * layer->rules().outputs(), 6);
  const StepResult none = run_step(*layer, x, {});
  EXPECT_TRUE(layer->loss_line(none.loss).starts_with(
      "Detection Avg IOU: 0.000000, Pos Cat: 0.000000, All Cat: 0.000000, Pos Obj: 0.000000, Any Obj: 0."));
  std::vector<TruthBox> truths = some_truths();
  truths.push_back({{.5f, .1f, .1f, .1f}, 3});   // classes that the head has not
  truths.push_back({{.5f, .1f, .1f, .1f}, -1});
  truths.push_back({{.33f, .25f, .1f, .1f}, 0});   // in the cell of the first
  const StepResult step = run_step(*layer, x, truths);
  EXPECT_EQ(step.loss.truths, 5);
  EXPECT_EQ(step.loss.assigned, 4);
  EXPECT_EQ(step.loss.rewritten, 1);
  double squares = 0;
  for (const float v : step.dx) squares += static_cast<double>(v) * v;
  EXPECT_NEAR(step.loss.cost, squares, 1e-5 * squares);
}

TEST(detection, decodes_what_is_above_the_threshold) {
  for (const bool roots : {false, true}) {
    const auto layer = head(roots ? "sqrt=1\n" : "");
    const DetectionRules& rules = layer->rules();
    const TensorDesc desc{{1, 325, 1, 1}, 1};
    std::vector<float> v(desc.count(), 0);
    const size_t cell = 3 * 5 + 1;
    v[rules.confidence_at(cell, 1)] = .8f;
    v[rules.classes_at(cell) + 2] = .5f;
    v[rules.classes_at(cell)] = .1f;
    const float box[] = {.25f, .5f, .4f, .2f};
    std::copy_n(box, 4, v.begin() + static_cast<std::ptrdiff_t>(rules.box_at(cell, 1)));
    v[rules.confidence_at(4, 0)] = .9f;   // a box without extent
    v[rules.confidence_at(5, 0)] = NAN;
    std::vector<Detection> found;
    layer->decode({desc, v.data()}, 0, {1, 3, 48, 64}, {.threshold = .2f}, found);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_FLOAT_EQ(found[0].box.x, 1.25f / 5);
    EXPECT_FLOAT_EQ(found[0].box.y, 3.5f / 5);
    EXPECT_FLOAT_EQ(found[0].box.w, roots ? .16f : .4f);
    EXPECT_FLOAT_EQ(found[0].box.h, roots ? .04f : .2f);
    EXPECT_EQ(found[0].prob, (std::vector<float>{0, 0, .4f}));
  }
}

}  // namespace dn
