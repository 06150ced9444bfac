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
      const double scale = static_cast<double>(o.layers.at(static_cast<size_t>(s.layer)).scale);
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
  const OptimizerOptions options{.9, .0005, 64, {{1}, {.5f}, {2}}, 2};
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

// The family's Adam: the negative gradient's sum, decay inside for every parameter, bias correction with the number of the batch.
struct AdamReference {
  std::vector<double> w, m, s;
  void update(const ParamStore& params, std::span<const float> grads, const OptimizerOptions& o, double rate, int frozen, std::span<const int> t) {
    for (const ParamSegment& p : params.segments()) {
      if (!p.trained() || p.layer < frozen) continue;
      const auto layer = static_cast<size_t>(p.layer);
      const double scale = static_cast<double>(o.layers.at(layer).scale);
      for (size_t i = p.offset; i < p.offset + p.spec.count; ++i) {
        double g = static_cast<double>(grads[i]);
        if (p.spec.clip_gradient > 0) g = std::clamp(g, -.25, .25);
        const double descent = -g - o.decay * o.batch * w[i];
        m[i] = o.adam->beta1 * m[i] + (1 - o.adam->beta1) * descent;
        s[i] = o.adam->beta2 * s[i] + (1 - o.adam->beta2) * descent * descent;
        const double m_hat = m[i] / (1 - std::pow(o.adam->beta1, t[layer])), s_hat = s[i] / (1 - std::pow(o.adam->beta2, t[layer]));
        w[i] += rate * scale * m_hat / (std::sqrt(s_hat) + o.adam->eps);
      }
    }
  }
};

TEST(optimizer, adam_matches_the_family_over_many_steps) {
  ParamStore params = small_store();
  OptimizerOptions options{.9, .02, 16, {{1}, {.5f}, {2}}, 2};
  options.adam = AdamOptions{.8, .99, 1e-4};
  Optimizer optimizer(params, options);
  AdamReference reference{
      {params.values().begin(), params.values().end()}, std::vector<double>(params.count(), 0), std::vector<double>(params.count(), 0)};
  int t[3] = {0, 0, 0};
  for (int step = 0; step < 40; ++step) {
    random_gradients(params, static_cast<uint64_t>(step));
    if (step % 4 == 3)  // squares from far below eps to far above it
      for (float& g : params.grads()) g *= step % 8 == 3 ? 1e-6f : 50.f;
    const double rate = .001 * (1 + step % 3);
    const int frozen = step < 10 ? 1 : 0;  // layer 0 begins late: its correction counts its own updates
    for (int layer = frozen; layer < 3; ++layer) ++t[layer];
    reference.update(params, params.grads(), options, rate, frozen, t);
    optimizer.begin_batch();
    ASSERT_TRUE(optimizer.update(rate, frozen).applied);
  }
  double moved = 0;
  ParamStore before = small_store();
  for (size_t i = 0; i < params.count(); ++i) {
    EXPECT_NEAR(static_cast<double>(params.values()[i]), reference.w[i], 4e-6) << i;
    moved = std::max(moved, std::abs(reference.w[i] - static_cast<double>(before.values()[i])));
  }
  EXPECT_GT(moved, .02);
}

TEST(optimizer, adam_survives_gradients_whose_squares_overflow) {
  ParamStore params = small_store();
  OptimizerOptions options{.9, 0, 1, {}, 1};
  options.adam = AdamOptions{};
  Optimizer optimizer(params, options);
  for (const float gradient : {1e30f, -1e30f, 1.f, 1.f}) {
    for (float& g : params.grads()) g = gradient;
    optimizer.begin_batch();
    ASSERT_TRUE(optimizer.update(.001).applied);
    for (const float w : params.values()) EXPECT_TRUE(std::isfinite(w));
  }
}

TEST(optimizer, a_layer_waits_for_its_first_update) {
  for (const bool adam : {false, true}) {
    ParamStore params = small_store();
    OptimizerOptions options{.9, .01, 4, {{}, {1, 0, false, 3}, {}}, 1};
    if (adam) options.adam = AdamOptions{};
    Optimizer optimizer(params, options);
    const std::vector<float> before(params.values().begin(), params.values().end());
    const auto moved = [&](int layer) {
      int count = 0;
      for (const ParamSegment* s : params.of_layer(layer))
        for (size_t i = s->offset; i < s->offset + s->spec.count; ++i) count += params.values()[i] != before[i] || optimizer.velocity()[i] != 0;
      return count;
    };
    for (int64_t iteration = 1; iteration <= 3; ++iteration) {
      random_gradients(params, static_cast<uint64_t>(iteration));
      if (iteration < 3) params.grads()[params.of_layer(1)[0]->offset] = std::numeric_limits<float>::quiet_NaN();  // of no one's concern yet
      optimizer.begin_batch();
      ASSERT_TRUE(optimizer.update(.1, 0, iteration).applied);
      EXPECT_EQ(moved(1), iteration < 3 ? 0 : 42) << iteration;
      EXPECT_EQ(moved(0), 42);
    }
  }
}

TEST(optimizer, clip_holds_weights_and_nothing_else) {
  ParamStore params = small_store();
  Optimizer optimizer(params, {.9, 0, 1, {{1, .1f}}, 2});
  random_gradients(params, 1);
  optimizer.begin_batch();
  optimizer.update(1);
  float largest_bias = 0;
  for (const ParamSegment& s : params.segments()) {
    for (const float value : params.values(s)) {
      if (s.layer == 0 && s.spec.role == ParamRole::weight) {
        EXPECT_LE(std::abs(value), .1f);
      }
      if (s.layer == 0 && s.spec.role == ParamRole::bias) largest_bias = std::max(largest_bias, std::abs(value));
    }
  }
  EXPECT_GT(largest_bias, .1f);
  EXPECT_TRUE(std::ranges::any_of(params.values(params.segments()[3]), [](float v) { return std::abs(v) == .1f; }));
  EXPECT_TRUE(std::ranges::any_of(params.values(params.segments()[7]), [](float v) { return std::abs(v) > .1f; }));  // of another layer
}

TEST(optimizer, centralized_gradients_have_no_mean) {
  ParamStore params;
  ParamSpec weights{"weights", ParamRole::weight, 3 * 18, Init::uniform, .5, true, 0};
  weights.shape = {3, 2, 3, 3};
  ParamSpec single{"weights", ParamRole::weight, 4, Init::uniform, .5, true, 0};
  single.shape = {4, 1, 1, 1};  // one weight a filter: would not learn at all
  params.add(0, {"biases", ParamRole::bias, 3, Init::zero});
  params.add(0, weights);
  params.add(1, single);
  params.allocate();
  params.allocate_grads();
  params.initialize(5);
  random_gradients(params, 1);
  const std::vector<float> w(params.values().begin(), params.values().end()), g(params.grads().begin(), params.grads().end());
  LayerRule rule;
  rule.centralize = true;
  Optimizer optimizer(params, {.9, .1, 2, {rule, rule}, 2});
  optimizer.begin_batch();
  optimizer.update(.5);
  const size_t at = params.segments()[1].offset;
  for (size_t f = 0; f < 3; ++f) {
    double mean = 0;
    for (size_t i = 0; i < 18; ++i) mean += static_cast<double>(g[at + f * 18 + i]) / 18;
    ASSERT_GT(std::abs(mean), .01);
    for (size_t i = at + f * 18; i < at + f * 18 + 18; ++i)
      EXPECT_NEAR(static_cast<double>(params.values()[i]),
                  static_cast<double>(w[i]) - .25 * (static_cast<double>(g[i]) - mean + .2 * static_cast<double>(w[i])), 1e-6);
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(params.values()[i], w[i] - .25f * g[i], 1e-6f);
  for (size_t i = params.segments()[2].offset, end = i + 4; i < end; ++i) EXPECT_NEAR(params.values()[i], w[i] - .25f * (g[i] + .2f * w[i]), 1e-6f);
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

TEST(optimizer, dot_and_average_at_every_length) {
  for (const size_t count : {1u, 7u, 16u, 33u, 1025u, 5000u}) {
    Rng rng(5, RandomUse::test, count);
    std::vector<float> a(count), b(count);
    for (size_t i = 0; i < count; ++i) a[i] = static_cast<float>(rng.normal()), b[i] = static_cast<float>(rng.normal());
    double expected = 0;
    for (size_t i = 0; i < count; ++i) expected += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    EXPECT_NEAR(dot(a.data(), b.data(), count), expected, 1e-5 * std::sqrt(static_cast<double>(count)));
    std::vector<float> average = b;
    average_step(.9, a.data(), average.data(), count);
    for (size_t i = 0; i < count; ++i) EXPECT_NEAR(average[i], .9f * b[i] + .1f * a[i], 1e-6f);
  }
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
