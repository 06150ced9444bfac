// The optimizer and the averages on a GPU against those of the host, fed with the same gradients. Updates of single values are the same to the last bit:
// both round in the same places (train/sweeps.h). Sums, of squares and of a filter's gradient, have another order.
#include <gtest/gtest.h>

#include <limits>

#include "base/rng.h"
#include "nn/cuda/param_mirror.h"
#include "tests/harness/gpu.h"
#include "train/optimizer.h"
#include "train/weight_average.h"

namespace dn {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

// Three layers of odd sizes; the weights of layer 1 are several pieces of work on both devices, those of layer 2 have their gradients clipped.
ParamStore small_store() {
  ParamStore params;
  const std::vector<size_t> shapes[] = {{5, 2, 3, 3}, {167, 241}, {37}};
  for (int layer = 0; layer < 3; ++layer) {
    params.add(layer, {"biases", ParamRole::bias, 5, Init::zero});
    params.add(layer, {"rolling_mean", ParamRole::running_mean, 5, Init::zero});
    params.add(layer, {"rolling_variance", ParamRole::running_variance, 5, Init::one});
    size_t count = 1;
    for (const size_t side : shapes[layer]) count *= side;
    ParamSpec weights{"weights", ParamRole::weight, count, Init::uniform, .5, true, layer == 2 ? .25f : 0.f};
    weights.shape = shapes[layer];
    params.add(layer, weights);
  }
  params.allocate();
  params.allocate_grads();
  params.initialize(3);
  return params;
}

std::vector<float> random_gradients(const ParamStore& params, uint64_t step, float size = 4) {
  Rng rng(11, RandomUse::test, step);
  std::vector<float> out(params.count(), 0.f);
  for (const ParamSegment& s : params.segments())
    for (size_t i = 0; i < s.spec.count; ++i) out[s.offset + i] = size * static_cast<float>(rng.uniform(-1, 1));
  return out;
}

std::vector<float> copy_of(std::span<const float> values) { return {values.begin(), values.end()}; }

// The same parameters twice, on the host and on a GPU.
class OptimizerOnGpu : public ::testing::Test {
 protected:
  OptimizerOnGpu() : mirror_(cuda::ParamMirror::of(there_, device_)) {
    mirror_.allocate_grads();
    mirror_.sync(there_);
  }

  void make(const OptimizerOptions& options) {
    on_host_ = std::make_unique<Optimizer>(here_, options);
    on_gpu_ = std::make_unique<Optimizer>(there_, options, &device_);
  }
  void set_gradients(const std::vector<float>& g, float scale = 1) {
    std::ranges::copy(g, here_.grads().begin());
    std::vector<float> scaled = g;
    for (float& v : scaled) v *= scale;
    device_.stream().to_device(mirror_.grads(), scaled.data(), scaled.size() * sizeof(float));
    there_.grads_are_in_copy();
  }
  // What forward passes do to running statistics.
  void move_statistics(float value, int64_t updates) {
    for (const ParamSegment& s : here_.segments()) {
      if (s.trained()) continue;
      std::ranges::fill(here_.values(s), value);
      const std::vector<float> values(s.spec.count, value);
      device_.stream().to_device(mirror_.values() + s.offset, values.data(), values.size() * sizeof(float));
      here_.norm_state(s.layer).updates = updates;
      device_.stream().to_device(mirror_.updates(s.layer), &updates, sizeof updates);
    }
    there_.values_are_in_copy();
  }
  void update(double rate, int frozen, int64_t iteration, float loss_scale = 1) {
    const uint64_t version = there_.version();
    host_ = on_host_->update(rate, frozen, iteration);
    gpu_ = on_gpu_->update(rate, frozen, iteration, loss_scale);
    EXPECT_GT(there_.version(), version);
    EXPECT_EQ(gpu_.applied, host_.applied);
    EXPECT_EQ(gpu_.largest, host_.largest);
    EXPECT_NEAR(gpu_.gradient_norm, host_.gradient_norm, 1e-6 * host_.gradient_norm);
    EXPECT_EQ(on_gpu_->skipped(), on_host_->skipped());
    EXPECT_EQ(on_gpu_->skipped_in_a_row(), on_host_->skipped_in_a_row());
  }
  void expect_same() {
    const ParamStore& there = there_;
    const std::span<const float> values[] = {there.values(), here_.values()}, momenta[] = {on_gpu_->velocity(), on_host_->velocity()};
    for (size_t i = 0; i < here_.count(); ++i) ASSERT_EQ(values[0][i], values[1][i]) << i;
    for (size_t i = 0; i < here_.count(); ++i) ASSERT_EQ(momenta[0][i], momenta[1][i]) << i;
    for (int layer = 0; layer < 3; ++layer) EXPECT_EQ(there.norm_updates(layer), here_.norm_updates(layer));
  }

  cuda::Device device_{testing::gpu_options(cuda::Precision::fp32)};
  ParamStore here_ = small_store(), there_ = small_store();
  cuda::ParamMirror& mirror_;
  std::unique_ptr<Optimizer> on_host_, on_gpu_;
  UpdateReport host_, gpu_;
};

std::vector<OptimizerOptions> both_kinds() {
  OptimizerOptions sgd{.9, .0005, 8, {{.5f, .3f}, {1, 0, false, 4}, {2}}, 2};
  OptimizerOptions adam = sgd;
  adam.decay = .02;
  adam.adam = AdamOptions{.8, .99, 1e-4};
  return {sgd, adam};
}

TEST_F(OptimizerOnGpu, sgd_and_adam_are_the_hosts_to_the_last_bit) {
  for (const OptimizerOptions& options : both_kinds()) {
    make(options);
    const std::vector<float> before = copy_of(here_.values());
    for (int64_t step = 1; step <= 12; ++step) {
      move_statistics(static_cast<float>(step), step);
      on_host_->begin_batch();
      on_gpu_->begin_batch();
      set_gradients(random_gradients(here_, static_cast<uint64_t>(step), step % 4 == 3 ? 1e-6f : 4.f));
      update(.01 * static_cast<double>(1 + step % 3), step == 7 ? 1 : 0, step);
      EXPECT_TRUE(gpu_.applied);
      if (step % 4 == 0) expect_same();  // in between the host reads nothing back
    }
    const auto differs = [&](size_t i) { return here_.values()[i] != before[i]; };
    for (const ParamSegment& s : here_.segments())
      EXPECT_TRUE(!s.trained() || (differs(s.offset) && differs(s.offset + s.spec.count - 1))) << s.layer << s.spec.name;
  }
}

TEST_F(OptimizerOnGpu, adam_survives_gradients_whose_squares_overflow) {
  OptimizerOptions options{.9, 0, 1, {}, 1};
  options.adam = AdamOptions{};
  make(options);
  for (const float gradient : {1e30f, -1e30f, 1.f, 1.f}) {
    set_gradients(std::vector<float>(here_.count(), gradient));
    EXPECT_TRUE(on_host_->update(.001).applied && on_gpu_->update(.001).applied);
  }
  for (const ParamSegment& s : here_.segments())
    for (size_t i = 0; i < s.spec.count; ++i) ASSERT_EQ(there_.values(s)[i], here_.values(s)[i]) << i;
}

TEST_F(OptimizerOnGpu, centralized_gradients_are_the_hosts) {
  LayerRule rule;
  rule.centralize = true;
  make({.9, .1, 2, {rule, rule, rule}, 2});
  for (int64_t step = 1; step <= 5; ++step) {
    std::vector<float> g = random_gradients(here_, static_cast<uint64_t>(step));
    for (float& v : g) v += .5f;
    set_gradients(g);
    update(.01, step == 2 ? 1 : 0, step);
  }
  for (size_t i = 0; i < here_.count(); ++i) ASSERT_NEAR(there_.values()[i], here_.values()[i], 1e-6f) << i;
  const ParamSegment& weights = there_.segments()[3];
  double mean = 0;
  for (const float g : there_.grads(weights).first(18)) mean += static_cast<double>(g) / 18;
  EXPECT_NEAR(mean, 0, 1e-6);  // the store knows that they changed
}

TEST_F(OptimizerOnGpu, leaves_out_a_batch_with_a_broken_gradient) {
  for (const OptimizerOptions& options : both_kinds())
    for (const float bad : {kNan, -kInfinity})
      for (const size_t segment : {0u, 7u, 11u}) {  // the last of each is in a block's tail
        make(options);
        move_statistics(.5f, 3);
        const int64_t iteration = 5;
        set_gradients(random_gradients(here_, 1));
        update(.01, 0, iteration);
        on_host_->begin_batch();
        on_gpu_->begin_batch();
        move_statistics(bad, 4);
        std::vector<float> g = random_gradients(here_, 2);
        const ParamSegment& s = here_.segments()[segment];
        g[s.offset + s.spec.count - 1] = bad;
        g[here_.segments()[11].offset + 3] = bad;
        set_gradients(g);
        update(.01, 0, iteration);
        EXPECT_FALSE(gpu_.applied);
        ASSERT_TRUE(gpu_.broken && host_.broken);
        EXPECT_EQ(gpu_.broken - there_.segments().data(), host_.broken - here_.segments().data());
        EXPECT_EQ(on_gpu_->skipped_in_a_row(), 1);
        expect_same();
        EXPECT_EQ(there_.norm_updates(1), 3);
        EXPECT_EQ(there_.values(there_.segments()[1])[4], .5f);
        set_gradients(random_gradients(here_, 3));
        update(.01, 0, iteration);
        EXPECT_TRUE(gpu_.applied);
        expect_same();  // Adam's number of updates too
      }
}

TEST_F(OptimizerOnGpu, a_broken_gradient_of_a_frozen_layer_does_not_matter) {
  make({.9, .0005, 4, {}, 1});
  std::vector<float> g = random_gradients(here_, 1);
  g[0] = kNan;
  set_gradients(g);
  update(.01, 1, 1);
  EXPECT_TRUE(gpu_.applied);
  set_gradients(g);
  update(.01, 3, 2);  // nothing is trained
  EXPECT_TRUE(gpu_.applied);
  EXPECT_EQ(gpu_.gradient_norm, 0);
  expect_same();
  set_gradients(g);
  update(.01, 0, 3);
  EXPECT_EQ(gpu_.broken, &there_.segments()[0]);
  on_gpu_->forgive();
  EXPECT_EQ(on_gpu_->skipped_in_a_row(), 0);
  EXPECT_EQ(on_gpu_->skipped(), 1);
}

TEST_F(OptimizerOnGpu, scaled_gradients_give_the_same_bits) {
  for (const OptimizerOptions& options : both_kinds())
    for (const float scale : {0x1p-10f, 1.f, 0x1p12f}) {
      make(options);
      for (int64_t step = 4; step <= 6; ++step) {
        set_gradients(random_gradients(here_, static_cast<uint64_t>(step)), scale);
        update(.01, 0, step, scale);
        expect_same();
      }
      std::vector<float> g = random_gradients(here_, 9);  // the host divides too
      for (float& v : g) v *= scale;
      set_gradients(g);
      on_host_->update(.01, 0, 7, scale);
      on_gpu_->update(.01, 0, 7, scale);
      expect_same();
    }
}

TEST_F(OptimizerOnGpu, averages_are_the_hosts_to_the_last_bit) {
  make({.9, .01, 4, {}, 2});
  WeightAverage here(here_, .9, 40, 0, 2), there(there_, .9, 40, 0, 2, &device_);
  for (int64_t iteration = 17; iteration <= 33; ++iteration) {
    move_statistics(static_cast<float>(iteration), iteration);
    set_gradients(random_gradients(here_, static_cast<uint64_t>(iteration)));
    update(.1, 0, iteration);
    EXPECT_EQ(there.update(iteration), here.update(iteration));
    EXPECT_EQ(there.started(), iteration >= 20);
    if (iteration < 20 || iteration % 3 != 0) continue;
    expect_same();  // at 30 after they took over
    ASSERT_EQ(copy_of(there.values()), copy_of(here.values())) << iteration;
    const std::vector<float> weights = copy_of(there_.values()), averages = copy_of(there.values());
    {
      const uint64_t version = there_.version();
      const WeightAverage::InPlace in_place(there);
      EXPECT_GT(there_.version(), version);
      EXPECT_EQ(copy_of(std::as_const(there_).values()), averages);  // what a file would get
      const std::vector<float> statistics = there_.statistics();     // as precise_bn does it: others for a while, by way of the host
      there_.set_statistics(std::vector<float>(statistics.size(), 7.f));
      there_.touch();
      mirror_.sync(there_);
      there_.set_statistics(statistics);
      there_.touch();
    }
    EXPECT_EQ(copy_of(there_.values()), weights);
    EXPECT_EQ(copy_of(there.values()), averages);
  }
}

TEST_F(OptimizerOnGpu, momentum_goes_to_the_host_and_back) {
  make({.9, 0, 1, {}, 1});
  set_gradients(random_gradients(here_, 1));
  update(.1, 0, 1);
  for (Optimizer* optimizer : {on_host_.get(), on_gpu_.get()}) std::ranges::fill(optimizer->velocity().first(100), 0.f);
  set_gradients(std::vector<float>(here_.count(), 0.f));
  update(.1, 0, 2);
  expect_same();
  set_gradients(random_gradients(here_, 2));
  update(.1, 0, 3);
  expect_same();
}

}  // namespace
}  // namespace dn
