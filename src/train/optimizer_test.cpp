// The optimizer against the family's update written out in double, on sizes that leave SIMD tails, with frozen layers, factors, clipping, NaN.
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "train/sweeps.h"

namespace dn {
namespace {

// Three layers: biases 5 (no decay), running mean and variance 5, weights 37 (decay); layer 2 clips its weight gradients.
ParamStore small_store() {
  ParamStore params;
  for (int layer = 0; layer < 3; ++layer) {
    params.add(layer, {"biases", ParamRole::bias, 5, Init::zero, 0, false, 0});
    params.add(layer, {"rolling_mean", ParamRole::running_mean, 5, Init::zero, 0, false, 0});
    params.add(layer, {"rolling_variance", ParamRole::running_variance, 5, Init::one, 0, false, 0});
    params.add(layer, {"weights", ParamRole::weight, 37, Init::uniform, .5, true, layer == 2 ? .25f : 0.f});
  }
  params.allocate();
  params.allocate_grads();
  params.initialize(3);
  return params;
}

void random_gradients(ParamStore& params, uint64_t step) {
  Rng rng(11, RandomUse::test, step);
  for (float& g : params.grads()) g = static_cast<float>(rng.uniform(-4, 4));
}

// darknet: v' holds the momentum-scaled past plus the sum of the negative gradients.
struct Reference {
  std::vector<double> w, v;
  void update(const ParamStore& params, std::span<const float> grads, const OptimizerOptions& o, double rate, int frozen) {
    for (const ParamSegment& s : params.segments()) {
      if (!s.trained() || s.layer < frozen) continue;
      const double scale = static_cast<double>(o.layer_scale.at(static_cast<size_t>(s.layer)));
      for (size_t i = s.offset; i < s.offset + s.spec.count; ++i) {
        double g = static_cast<double>(grads[i]);
        if (s.spec.clip_gradient > 0) g = std::clamp(g, -.25, .25);
        v[i] += -g;
        if (s.spec.decays) v[i] += -o.decay * o.batch * w[i];
        w[i] += rate * scale / o.batch * v[i];
        v[i] *= o.momentum;
      }
    }
  }
};

TEST(optimizer, matches_the_family_over_many_steps) {
  ParamStore params = small_store();
  const OptimizerOptions options{.9, .0005, 64, {1, .5f, 2}, 2};
  Optimizer optimizer(params, options);
  Reference reference{{params.values().begin(), params.values().end()}, std::vector<double>(params.count(), 0)};
  for (int step = 0; step < 30; ++step) {
    random_gradients(params, static_cast<uint64_t>(step));
    const double rate = .01 * (1 + step % 3);
    const int frozen = step >= 20 ? 1 : 0;
    reference.update(params, params.grads(), options, rate, frozen);
    optimizer.begin_batch();
    const uint64_t version = params.version();
    ASSERT_TRUE(optimizer.update(rate, frozen).applied);
    EXPECT_GT(params.version(), version);
  }
  for (size_t i = 0; i < params.count(); ++i) EXPECT_NEAR(static_cast<double>(params.values()[i]), reference.w[i], 2e-6) << i;
}

TEST(optimizer, running_statistics_and_frozen_layers_stay) {
  ParamStore params = small_store();
  Optimizer optimizer(params, {.9, .1, 1, {}, 1});
  const std::vector<float> before(params.values().begin(), params.values().end());
  random_gradients(params, 1);
  optimizer.begin_batch();
  optimizer.update(.1, 2);
  for (const ParamSegment& s : params.segments())
    for (size_t i = s.offset; i < s.offset + s.spec.count; ++i) {
      if (s.trained() && s.layer == 2)
        EXPECT_NE(params.values()[i], before[i]) << i;
      else
        EXPECT_EQ(params.values()[i], before[i]) << i;
    }
}

TEST(optimizer, leaves_out_a_batch_with_a_broken_gradient) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const bool bias : {true, false}) {  // a bias, or the last weight of layer 0: in the SIMD tail
      ParamStore params = small_store();
      const size_t at = bias ? 2 : params.segments()[3].offset + 36;
      Optimizer optimizer(params, {.9, .0005, 4, {}, 2});
      random_gradients(params, 1);
      optimizer.begin_batch();
      ASSERT_TRUE(optimizer.update(.01).applied);
      const std::vector<float> values(params.values().begin(), params.values().end());
      const std::vector<float> velocity(optimizer.velocity().begin(), optimizer.velocity().end());
      optimizer.begin_batch();
      params.values()[params.segments()[1].offset + 2] = bad;  // what a forward pass over broken activations does to a running mean
      params.grads()[at] = bad;
      const UpdateReport report = optimizer.update(.01);
      EXPECT_FALSE(report.applied);
      ASSERT_NE(report.broken, nullptr);
      EXPECT_EQ(report.broken->spec.name, bias ? "biases" : "weights");
      EXPECT_EQ(optimizer.skipped_in_a_row(), 1);
      for (size_t i = 0; i < params.count(); ++i) EXPECT_EQ(params.values()[i], values[i]) << i;
      for (size_t i = 0; i < velocity.size(); ++i) EXPECT_EQ(optimizer.velocity()[i], velocity[i]) << i;
      random_gradients(params, 2);
      EXPECT_TRUE(optimizer.update(.01).applied);
      EXPECT_EQ(optimizer.skipped_in_a_row(), 0);
      EXPECT_EQ(optimizer.skipped(), 1);
    }
  }
}

TEST(optimizer, a_broken_gradient_of_a_frozen_layer_does_not_matter) {
  ParamStore params = small_store();
  Optimizer optimizer(params, {.9, .0005, 4, {}, 1});
  random_gradients(params, 1);
  params.grads()[0] = std::numeric_limits<float>::quiet_NaN();
  optimizer.begin_batch();
  EXPECT_TRUE(optimizer.update(.01, 1).applied);
}

TEST(optimizer, reports_the_norm_per_image) {
  ParamStore params = small_store();
  Optimizer optimizer(params, {.9, 0, 8, {}, 2});
  for (float& g : params.grads()) g = 0;
  params.grads()[0] = 3 * 8;
  params.grads()[params.segments()[3].offset + 20] = -4 * 8;
  optimizer.begin_batch();
  const UpdateReport report = optimizer.update(0);
  EXPECT_DOUBLE_EQ(report.gradient_norm, 5);
  EXPECT_DOUBLE_EQ(report.largest, 4);
}

TEST(optimizer, scan_sees_every_position) {
  for (const size_t count : {1u, 7u, 16u, 33u, 1025u, 5000u}) {
    std::vector<float> g(count, .5f);
    const GradientScan clean = scan_gradient(g.data(), count);
    EXPECT_TRUE(clean.finite);
    EXPECT_NEAR(clean.squares, .25 * static_cast<double>(count), 1e-9);
    EXPECT_EQ(clean.largest, .5f);
    for (size_t at = 0; at < count; at += 1 + count / 50) {
      g[at] = -std::numeric_limits<float>::infinity();
      EXPECT_FALSE(scan_gradient(g.data(), count).finite) << count << " " << at;
      g[at] = std::numeric_limits<float>::quiet_NaN();
      const GradientScan broken = scan_gradient(g.data(), count);
      EXPECT_FALSE(broken.finite) << count << " " << at;
      EXPECT_TRUE(std::isfinite(broken.squares));
      g[at] = .5f;
    }
  }
}

}  // namespace
}  // namespace dn
