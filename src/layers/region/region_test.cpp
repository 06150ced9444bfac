#include "layers/region/region.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "data/test_folder.h"
#include "device/cpu/device.h"
#include "layers/region/region_loss.h"
#include "layers/region/region_ref.h"
#include "tests/harness/head_section.h"

namespace dn {
namespace {

constexpr const char* kHead = "anchors=0.9,1.2, 2.0,1.6, 4.1,3.3\nclasses=4\ncoords=4\nnum=3\nmax=20\n";
constexpr Shape kShape{2, 27, 6, 8};
constexpr uint64_t kLater = kPriorImages;

using Parsed = testing::ParsedHead<Region>;

Parsed parse(const std::string& keys) { return testing::parse_head<Region>("[region]\n" + keys, "r.cfg", 30); }

std::unique_ptr<Region> head(const std::string& extra = {}) { return testing::settled(parse(kHead + extra)); }

// Two roots, the first with children 2 and 3: a softmax over 0 and 1 and one over 2 and 3.
std::string tree_file() {
  static const test::TestFolder folder("region");
  const fs::path path = folder / "animals.tree";
  write_file(path, "animal -1\nthing -1\ncat 0\ndog 0\n");
  return path.string();
}

std::vector<TruthBox> some_truths() {
  return {{{.31f, .27f, .2f, .22f}, 1}, {{.72f, .55f, .6f, .7f}, 3}, {{.12f, .86f, .2f, .4f}, 0}, {{1, 1, .24f, .19f}, 2}};
}

std::vector<float> random_inputs(size_t count, uint64_t seed) {
  Rng rng(seed, RandomUse::test);
  std::vector<float> v(count);
  for (float& value : v) value = static_cast<float>(rng.uniform(-1.5, 1.5));
  return v;
}

struct StepResult {
  std::vector<float> y, dx;
  LossReport loss;
};

StepResult run_step(const Region& layer, const std::vector<float>& x, const std::vector<TruthBox>& truths, uint64_t iteration) {
  cpu::Device device({.threads = 2});
  const TensorDesc desc{kShape, 1};
  StepResult out{std::vector<float>(desc.count(), NAN), std::vector<float>(desc.count(), NAN), {}};
  const auto kernel = Region::compile_cpu(
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
  pass.micro_steps = 1;
  kernel->forward(io, pass);
  kernel->backward(io, pass);
  return out;
}

void check_gradient(const std::string& keys, bool prior) {
  const auto layer = head(keys);
  const AnchorGrid grid = region_grid(kShape.w, kShape.h);
  const std::vector<float> x = random_inputs(kShape.count(), 3);
  const StepResult step = run_step(*layer, x, some_truths(), prior ? 0 : kLater);
  RegionReference reference{layer->rules(), grid, {x.begin(), x.begin() + static_cast<std::ptrdiff_t>(kShape.per_image())}};
  std::vector<double> moved = reference.at;
  int nonzero = 0;
  for (size_t i = 0; i < moved.size(); ++i) {
    const double at = moved[i], delta = 1e-5;
    moved[i] = at + delta;
    const double up = reference(moved, some_truths(), prior);
    moved[i] = at - delta;
    const double down = reference(moved, some_truths(), prior);
    moved[i] = at;
    ASSERT_NEAR(step.dx[i], (up - down) / (2 * delta), 2e-5) << keys << " channel " << i / grid.plane() << " cell " << i % grid.plane();
    nonzero += step.dx[i] != 0;
  }
  EXPECT_GT(nonzero, 100);
}

}  // namespace

TEST(region, keys_and_defaults) {
  const auto plain = head();
  EXPECT_EQ(plain->rules().channels(), 27);
  EXPECT_FLOAT_EQ(plain->rules().thresh, .5f);
  EXPECT_FALSE(plain->rules().softmax);
  EXPECT_FLOAT_EQ(plain->jitter(), .2f);
  const auto other = head("softmax=1\nrescore=1\nbias_match=1\nobject_scale=5\nthresh=.6\nrandom=1\nabsolute=1\nclassfix=-1\njitter=.3\n");
  EXPECT_TRUE(other->rules().softmax && other->rules().rescore && other->rules().bias_match);
  EXPECT_FLOAT_EQ(other->rules().object_scale, 5);
  EXPECT_EQ(other->rules().classfix, -1);
  EXPECT_FLOAT_EQ(other->random(), 1);
  for (const KeyHelp& row : Region::keys()) EXPECT_FALSE(row.doc.empty()) << row.name;
}

TEST(region, says_what_it_does_not_do) {
  EXPECT_TRUE(parse("coords=5\n").problems.failed());
  EXPECT_TRUE(parse("num=3\nanchors=1,2\n").problems.failed());
  EXPECT_TRUE(parse(concat(kHead, "classfix=3\n")).problems.failed());
  EXPECT_TRUE(parse(concat(kHead, "tree=no/such.tree\n")).problems.failed());
  for (const char* key : {"log=1", "sqrt=1", "mask_scale=2", "absolute=7"}) {
    const Parsed parsed = parse(concat(kHead, key, "\n"));
    ASSERT_EQ(parsed.problems.warnings().size(), 1u) << key;
    EXPECT_NE(parsed.problems.warnings()[0].find("no effect"), std::string::npos) << parsed.problems.warnings()[0];
  }
  const auto layer = head();
  const Shape bad[] = {{1, 125, 6, 8}};
  try {
    layer->output_shape(bad);
    FAIL() << "125 channels were accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "r.cfg:4: [region] classes = 4: layer 29 above gives 125 channels; expected 27 = 3 anchors x (5 + 4)");
  }
}

TEST(region, gradient_is_the_derivative_of_the_loss) {
  const std::string tree = concat("tree=", tree_file(), "\n");
  for (const std::string& keys : {std::string("softmax=1\nbias_match=1\nrescore=1\nobject_scale=5\nthresh=.2\n"), std::string("coord_scale=2\n"),
                                  std::string("softmax=1\nclassfix=1\nthresh=.1\nclass_scale=3\n"), std::string("softmax=1\nclassfix=-1\n"), tree})
    for (const bool prior : {true, false}) check_gradient(keys, prior);
}

TEST(region, softmax_per_group_of_the_tree) {
  const auto layer = head(concat("tree=", tree_file(), "\n"));
  const StepResult step = run_step(*layer, random_inputs(kShape.count(), 5), {}, kLater);
  const size_t plane = kShape.plane();
  for (size_t cell = 0; cell < plane; ++cell) {
    const float* const p = step.y.data() + 5 * plane + cell;
    EXPECT_NEAR(p[0] + p[plane], 1, 1e-6);
    EXPECT_NEAR(p[2 * plane] + p[3 * plane], 1, 1e-6);
  }
}

TEST(region, focal_loss_and_classfix_weigh_the_class_gradient) {
  const std::vector<float> x = random_inputs(kShape.count(), 8);
  const auto plain = head("softmax=1\n"), focal = head("softmax=1\nfocal_loss=1\n");
  const std::vector<TruthBox> truth{{{.55f, .45f, .2f, .3f}, 2}};
  const StepResult a = run_step(*plain, x, truth, kLater), b = run_step(*focal, x, truth, kLater);
  const size_t plane = kShape.plane(), cell = 2 * 8 + 4;
  int seen = 0;
  for (size_t anchor = 0; anchor < 3; ++anchor) {
    const size_t own = (anchor * 9 + 7) * plane + cell;
    if (a.dx[own] == 0) continue;
    const double p = static_cast<double>(a.y[own]);
    for (size_t c = 5; c < 9; ++c) {
      const size_t i = (anchor * 9 + c) * plane + cell;
      EXPECT_NEAR(b.dx[i], static_cast<double>(a.dx[i]) * -.5 * (1 - p) * (2 * p * std::log(p) + p - 1), 1e-6);
    }
    ++seen;
  }
  EXPECT_EQ(seen, 1);
  const StepResult one = run_step(*head("softmax=1\nclassfix=1\nthresh=0\n"), x, truth, kLater);
  const StepResult two = run_step(*head("softmax=1\nclassfix=2\nthresh=0\n"), x, truth, kLater);
  int met = 0;
  for (size_t anchor = 0; anchor < 3; ++anchor)
    for (size_t at = 0; at < plane; ++at) {
      const size_t first = anchor * 9 * plane + at;
      if (one.dx[first + 5 * plane] == 0 || one.dx[first + 4 * plane] != 0) continue;   // not met, or assigned
      EXPECT_NEAR(two.dx[first + 5 * plane], one.dx[first + 5 * plane] * two.y[first + 4 * plane], 1e-6);
      ++met;
    }
  EXPECT_GT(met, 0);
}

TEST(region, anchors_are_learnt_first) {
  const auto layer = head("softmax=1\n");
  const std::vector<float> x = random_inputs(kShape.count(), 4);
  const auto boxes_learn = [&](uint64_t iteration) { return run_step(*layer, x, {}, iteration).dx[2 * kShape.plane() + 7] != 0; };
  EXPECT_TRUE(boxes_learn(0));
  EXPECT_TRUE(boxes_learn(kPriorImages / 2 - 1));   // mini-batches of two
  EXPECT_FALSE(boxes_learn(kPriorImages / 2));
}

TEST(region, reports_without_and_with_truths) {
  const auto layer = head("softmax=1\n");
  const std::vector<float> x = random_inputs(kShape.count(), 6);
  const StepResult none = run_step(*layer, x, {}, kLater);
  EXPECT_EQ(none.loss.assigned, 0);
  EXPECT_EQ(layer->loss_line(none.loss).find("Region Avg IOU: 0.000000, Class: 0.000000, Obj: 0.000000, No Obj: 0."), 0u);
  EXPECT_NE(layer->loss_line(none.loss).find(", Avg Recall: 0.000000, count: 0"), std::string::npos);
  std::vector<TruthBox> truths = some_truths();
  truths.push_back({{.5f, .5f, .1f, .1f}, 4});   // classes that the head has not
  truths.push_back({{.5f, .5f, .1f, .1f}, -1});
  truths.push_back(truths[0]);
  const StepResult step = run_step(*layer, x, truths, kLater);
  EXPECT_EQ(step.loss.truths, 5);
  EXPECT_EQ(step.loss.assigned, 5);
  EXPECT_EQ(step.loss.rewritten, 1);
  EXPECT_EQ(step.loss.predictions, 2 * 3 * 48);
  for (const float v : step.dx) ASSERT_TRUE(std::isfinite(v));
}

TEST(region, decodes_classes_and_trees) {
  const TensorDesc desc{{1, 27, 6, 8}, 1};
  std::vector<float> v(desc.count(), 0);
  const Tensor out{desc, v.data()};
  const int first = 9, row = 4, column = 5;   // the second anchor
  out.at(0, first + kX, row, column) = .25f;
  out.at(0, first + kY, row, column) = .5f;
  out.at(0, first + kW, row, column) = std::log(2.0f);
  out.at(0, first + 4, row, column) = .8f;
  const float p[] = {.9f, .1f, .3f, .7f};
  for (int c = 0; c < 4; ++c) out.at(0, first + 5 + c, row, column) = p[c];
  const auto decode = [&](const Region& layer, const DecodeOptions& options) {
    std::vector<Detection> found;
    layer.decode(out, 0, {1, 3, 48, 64}, options, found);
    EXPECT_EQ(found.size(), 1u);
    return found.at(0);
  };
  const auto flat = head("softmax=1\n"), tree = head(concat("tree=", tree_file(), "\n"));
  const Detection d = decode(*flat, {.threshold = .2f});
  EXPECT_FLOAT_EQ(d.box.x, 5.25f / 8);
  EXPECT_FLOAT_EQ(d.box.y, 4.5f / 6);
  EXPECT_FLOAT_EQ(d.box.w, 2 * 2.0f / 8);
  EXPECT_FLOAT_EQ(d.box.h, 1.6f / 6);
  EXPECT_FLOAT_EQ(d.prob[0], .72f);
  EXPECT_EQ(d.prob[1], 0);
  const auto expect = [](const Detection& found, const std::vector<float>& expected) {
    ASSERT_EQ(found.prob.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found.prob[i], expected[i], 1e-6) << i;
  };
  expect(decode(*tree, {.threshold = .2f, .hierarchy = .5f}), {0, 0, 0, .8f * .63f});   // 0 -> 3
  expect(decode(*tree, {.threshold = .2f, .hierarchy = .7f}), {.72f, 0, 0, 0});         // 3 is not sure enough
  expect(decode(*tree, {.threshold = .2f, .hierarchy = .95f}), {0, 0, 0, 0});
  const int asked[] = {2, 0, 3};
  expect(decode(*tree, {.threshold = .2f, .hierarchy = .5f, .report = asked}), {.8f * .27f, .72f, .8f * .63f});
  expect(decode(*flat, {.threshold = .2f, .report = asked}), {.24f, .72f, .56f});
}

}  // namespace dn
