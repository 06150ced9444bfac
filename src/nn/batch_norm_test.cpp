// BatchNorm against its formulas in double: every scope, gradient and freeze, running statistics, and what NaN leaves behind.
#include "nn/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "base/aligned.h"
#include "base/rng.h"

namespace dn {
namespace {

constexpr int kImages = 2, kChannels = 10, kSide = 3;
const TensorDesc kDesc{{kImages, kChannels, kSide, kSide}, 8};
constexpr size_t kValues = static_cast<size_t>(kImages) * kSide * kSide;   // of one channel in a mini-batch

using Channel = std::vector<double>;   // the values of one channel, by image and pixel

struct Statistics {
  double count = 0, mean = 0, variance = 0;
};

Statistics statistics(const std::vector<Channel>& parts) {
  Statistics s;
  for (const Channel& part : parts)
    for (const double v : part) s.count += 1, s.mean += v;
  s.mean /= s.count;
  for (const Channel& part : parts)
    for (const double v : part) s.variance += (v - s.mean) * (v - s.mean) / s.count;
  return s;
}

// A mini-batch with its places for everything.
struct MiniBatch {
  MiniBatch() : x(kDesc.count()), y(kDesc.count()), dy(kDesc.count()), dx(kDesc.count()) {}
  explicit MiniBatch(uint64_t seed) : MiniBatch() {
    Rng rng(seed, RandomUse::test);
    for (int c = 0; c < kChannels; ++c)
      for (size_t i = 0; i < kValues; ++i) {
        at(x, c, i) = static_cast<float>(rng.uniform(-1, 1) * (1 + .1 * c) + .3 * c + .2 * static_cast<double>(seed));
        at(dy, c, i) = static_cast<float>(rng.uniform(-1, 1));
      }
  }
  static float& at(AlignedFloats& values, int c, size_t i) {
    const size_t plane = kDesc.shape.plane();
    return values[kDesc.offset(static_cast<int>(i / plane), c, 0, 0) + i % plane * static_cast<size_t>(kDesc.block)];
  }
  static Channel channel(AlignedFloats& values, int c) {
    Channel out;
    for (size_t i = 0; i < kValues; ++i) out.push_back(at(values, c, i));
    return out;
  }
  Tensor tensor(AlignedFloats& values) const { return {kDesc, values.data()}; }
  AlignedFloats x, y, dy, dx;
};

struct Layer {
  explicit Layer(const NormSpec& spec) : norm(spec, kDesc, Activation::linear, 2, false), saved(norm.saved_bytes() / 4), scratch(norm.backward_scratch_bytes() / 4) {
    for (int c = 0; c < kChannels; ++c) gamma.push_back(1 + .05f * static_cast<float>(c)), beta.push_back(.1f * static_cast<float>(c));
    mean.assign(kChannels, .4f), variance.assign(kChannels, .9f), gamma_gradient.assign(kChannels, 0), beta_gradient = gamma_gradient;
  }
  NormParams params() { return {{beta, beta_gradient}, {gamma, gamma_gradient}, {mean, {}}, {variance, {}}, {}, &state}; }
  void forward(MiniBatch& m, int step, int steps, uint64_t iteration = 0) {
    pass.training = true, pass.micro_step = step, pass.micro_steps = steps, pass.iteration = iteration;
    norm.collect(m.tensor(m.x), params(), bytes(saved), pass);
    norm.apply(m.tensor(m.x), params(), bytes(saved), m.tensor(m.y));
  }
  // Of the mini-batch that went forward last.
  void backward(MiniBatch& m) { norm.backward(m.tensor(m.x), m.tensor(m.dy), params(), bytes(saved), bytes(scratch), pass, m.tensor(m.dx)); }
  static std::byte* bytes(AlignedFloats& floats) { return reinterpret_cast<std::byte*>(floats.data()); }
  BatchNorm norm;
  AlignedFloats saved, scratch;
  std::vector<float> gamma, beta, mean, variance, gamma_gradient, beta_gradient;
  NormState state{ParamStore::kWarm, {}};
  Pass pass;
};

NormSpec spec(NormScope scope = NormScope::minibatch, NormGradient gradient = NormGradient::renorm) {
  NormSpec s;
  s.kind = NormKind::bn, s.scope = scope, s.gradient = gradient, s.update_per_batch = scope == NormScope::cmbn;
  return s;
}

// y of one channel as a function of its own values; statistics of whatever is to be constant are captured.
using Forward = std::function<Channel(const Channel& x, double gamma, double beta)>;

Channel affine(const Channel& x, double mean, double inv_std, double gamma, double beta) {
  Channel y;
  for (const double v : x) y.push_back(gamma * (v - mean) * inv_std + beta);
  return y;
}

// y, dx, dgamma and dbeta of `m`, after forward and backward, against `forward` and its central differences.
void expect_derivative(Layer& layer, MiniBatch& m, const std::function<Forward(int channel)>& forward_of) {
  constexpr double h = 1e-5;
  for (int c = 0; c < kChannels; ++c) {
    const Forward forward = forward_of(c);
    const Channel x = MiniBatch::channel(m.x, c), dy = MiniBatch::channel(m.dy, c), y = MiniBatch::channel(m.y, c), dx = MiniBatch::channel(m.dx, c);
    const double gamma = layer.gamma[static_cast<size_t>(c)], beta = layer.beta[static_cast<size_t>(c)];
    const auto loss = [&](const Channel& at, double g, double b) {
      const Channel out = forward(at, g, b);
      double sum = 0;
      for (size_t i = 0; i < out.size(); ++i) sum += out[i] * dy[i];
      return sum;
    };
    const Channel expected = forward(x, gamma, beta);
    for (size_t i = 0; i < kValues; ++i) {
      EXPECT_NEAR(y[i], expected[i], 5e-6) << "channel " << c;
      Channel up = x, down = x;
      up[i] += h, down[i] -= h;
      EXPECT_NEAR(dx[i], (loss(up, gamma, beta) - loss(down, gamma, beta)) / (2 * h), 2e-5) << "channel " << c << " value " << i;
    }
    EXPECT_NEAR(layer.gamma_gradient[static_cast<size_t>(c)], (loss(x, gamma + h, beta) - loss(x, gamma - h, beta)) / (2 * h), 2e-5) << c;
    EXPECT_NEAR(layer.beta_gradient[static_cast<size_t>(c)], (loss(x, gamma, beta + h) - loss(x, gamma, beta - h)) / (2 * h), 2e-5) << c;
  }
}

double inverse(double variance, double eps = 1e-5) { return 1 / std::sqrt(variance + eps); }

TEST(batch_norm, mini_batch_is_differentiated_whole) {
  for (const double eps : {1e-5, .1}) {
    NormSpec s = spec();
    s.eps = eps;
    Layer layer(s);
    MiniBatch m(1);
    layer.forward(m, 0, 1);
    layer.backward(m);
    expect_derivative(layer, m, [&](int) {
      return [eps](const Channel& x, double g, double b) {
        const Statistics own = statistics({x});
        return affine(x, own.mean, inverse(own.variance, eps), g, b);
      };
    });
  }
}

// Three mini-batches; the third normalizes with the pool of all. Detached: the derivative with the first two held constant.
TEST(batch_norm, pool_with_a_constant_past) {
  Layer layer(spec(NormScope::cmbn, NormGradient::detached));
  MiniBatch m[3] = {MiniBatch(1), MiniBatch(2), MiniBatch(3)};
  for (int j = 0; j < 3; ++j) layer.forward(m[j], j, 3);
  layer.backward(m[2]);
  expect_derivative(layer, m[2], [&](int c) {
    return [&, c](const Channel& x, double g, double b) {
      const Statistics pool = statistics({MiniBatch::channel(m[0].x, c), MiniBatch::channel(m[1].x, c), x});
      return affine(x, pool.mean, inverse(pool.variance), g, b);
    };
  });
}

// Renorm: batch renormalization whose r and d are the pool's, held constant.
TEST(batch_norm, pool_as_renormalization) {
  Layer layer(spec(NormScope::cmbn, NormGradient::renorm));
  MiniBatch m[2] = {MiniBatch(1), MiniBatch(2)};
  for (int j = 0; j < 2; ++j) layer.forward(m[j], j, 2);
  layer.backward(m[1]);
  Layer* const of = &layer;
  for (int c = 0; c < kChannels; ++c) {
    const Channel x = MiniBatch::channel(m[1].x, c), dx = MiniBatch::channel(m[1].dx, c);
    const Statistics own = statistics({x});
    double sum = 0, with_x = 0;
    for (size_t i = 0; i < kValues; ++i) sum += dx[i], with_x += dx[i] * (x[i] - own.mean);
    EXPECT_NEAR(sum, 0, 1e-5);
    EXPECT_NEAR(with_x, 0, 2e-4);   // up to eps in the root
  }
  expect_derivative(*of, m[1], [&](int c) {
    const Statistics own = statistics({MiniBatch::channel(m[1].x, c)});
    const Statistics pool = statistics({MiniBatch::channel(m[0].x, c), MiniBatch::channel(m[1].x, c)});
    const double r = inverse(pool.variance) / inverse(own.variance), d = (own.mean - pool.mean) * inverse(pool.variance);
    return [r, d](const Channel& x, double g, double b) {
      const Statistics now = statistics({x});
      Channel y;
      for (const double v : x) y.push_back(g * ((v - now.mean) * inverse(now.variance) * r + d) + b);
      return y;
    };
  });
}

// Local: the formula of one mini-batch with the pool's statistics in it; the gradient of nothing, so it is compared with the formula.
TEST(batch_norm, pool_in_the_local_form) {
  Layer layer(spec(NormScope::cmbn, NormGradient::local));
  MiniBatch m[2] = {MiniBatch(1), MiniBatch(2)};
  for (int j = 0; j < 2; ++j) layer.forward(m[j], j, 2);
  layer.backward(m[1]);
  for (int c = 0; c < kChannels; ++c) {
    const Channel x = MiniBatch::channel(m[1].x, c), dy = MiniBatch::channel(m[1].dy, c), dx = MiniBatch::channel(m[1].dx, c);
    const Statistics pool = statistics({MiniBatch::channel(m[0].x, c), x});
    const double s = inverse(pool.variance);
    double s1 = 0, s2 = 0;
    for (size_t i = 0; i < kValues; ++i) s1 += dy[i], s2 += dy[i] * (x[i] - pool.mean) * s;
    for (size_t i = 0; i < kValues; ++i)
      EXPECT_NEAR(dx[i], layer.gamma[static_cast<size_t>(c)] * s * (dy[i] - s1 / kValues - (x[i] - pool.mean) * s * s2 / kValues), 1e-5);
  }
}

TEST(batch_norm, one_mini_batch_makes_a_pool_equal_bit_for_bit) {
  Layer plain(spec()), pooled(spec(NormScope::cmbn));
  MiniBatch a(1), b(1);
  plain.forward(a, 0, 1), pooled.forward(b, 0, 1);
  plain.backward(a), pooled.backward(b);
  EXPECT_EQ(a.y, b.y);
  EXPECT_EQ(a.dx, b.dx);
  EXPECT_EQ(plain.gamma_gradient, pooled.gamma_gradient);
  EXPECT_EQ(plain.mean, pooled.mean);
  EXPECT_EQ(plain.variance, pooled.variance);
}

TEST(batch_norm, frozen_statistics_are_constants) {
  for (const NormFrozen frozen : {NormFrozen::stats, NormFrozen::all}) {
    NormSpec s = spec();
    s.frozen = frozen;
    Layer layer(s);
    const std::vector<float> mean = layer.mean;
    MiniBatch m(1);
    layer.forward(m, 0, 1);
    layer.backward(m);
    EXPECT_EQ(layer.mean, mean);
    if (frozen == NormFrozen::all) {
      EXPECT_EQ(layer.gamma_gradient, std::vector<float>(kChannels, 0));
      EXPECT_EQ(layer.beta_gradient, std::vector<float>(kChannels, 0));
      continue;
    }
    expect_derivative(layer, m, [&](int) {
      return [](const Channel& x, double g, double b) { return affine(x, double{.4f}, inverse(double{.9f}), g, b); };
    });
  }
}

TEST(batch_norm, renormalization_towards_the_running_statistics) {
  NormSpec s = spec();
  s.kind = NormKind::brn, s.rmax = 1.05, s.dmax = .3, s.ramp_from = 10, s.ramp_to = 20;   // limits that some channels reach
  for (const uint64_t iteration : {0, 20}) {
    Layer layer(s);
    MiniBatch m(1);
    layer.forward(m, 0, 1, iteration);
    layer.backward(m);
    const double rmax = iteration == 0 ? 1 : 1.05, dmax = iteration == 0 ? 0 : .3;
    expect_derivative(layer, m, [&](int c) {
      const Statistics own = statistics({MiniBatch::channel(m.x, c)});
      const double running = inverse(double{.9f});
      const double r = std::clamp(running / inverse(own.variance), 1 / rmax, rmax), d = std::clamp((own.mean - double{.4f}) * running, -dmax, dmax);
      return [r, d](const Channel& x, double g, double b) {
        const Statistics now = statistics({x});
        Channel y;
        for (const double v : x) y.push_back(g * ((v - now.mean) * inverse(now.variance) * r + d) + b);
        return y;
      };
    });
  }
}

TEST(batch_norm, running_statistics_take_the_unbiased_variance) {
  const auto after = [](const NormSpec& s, int64_t updates) {
    Layer layer(s);
    layer.state.updates = updates;
    MiniBatch m[3] = {MiniBatch(1), MiniBatch(2), MiniBatch(3)};
    for (int j = 0; j < 3; ++j) layer.forward(m[j], j, 3);
    return std::pair(layer.mean[4], layer.variance[4]);
  };
  MiniBatch m[3] = {MiniBatch(1), MiniBatch(2), MiniBatch(3)};
  const Statistics pool = statistics({MiniBatch::channel(m[0].x, 4), MiniBatch::channel(m[1].x, 4), MiniBatch::channel(m[2].x, 4)});
  const double rho = 1 - std::pow(.99, 3);
  const auto [mean, variance] = after(spec(NormScope::cmbn), ParamStore::kWarm);   // once, with the weight of three
  EXPECT_NEAR(mean, (1 - rho) * .4 + rho * pool.mean, 1e-6);
  EXPECT_NEAR(variance, (1 - rho) * .9 + rho * pool.variance * pool.count / (pool.count - 1), 1e-6);
  NormSpec cumulative = spec();
  cumulative.momentum = 0, cumulative.start = NormStart::none;
  EXPECT_NEAR(after(cumulative, 0).first, pool.mean, 1e-6);   // the mean of three equal parts
  NormSpec cold = spec();
  cold.start = NormStart::none;
  double expected = double{.4f};
  for (MiniBatch& part : m) expected = .99 * expected + .01 * statistics({MiniBatch::channel(part.x, 4)}).mean;
  EXPECT_NEAR(after(cold, 0).first, expected, 1e-6);
}

TEST(batch_norm, a_batch_of_nan_leaves_no_trace) {
  for (const NormScope scope : {NormScope::minibatch, NormScope::cmbn}) {
    Layer clean(spec(scope)), hurt(spec(scope));
    MiniBatch broken(5), a(1), b(1);
    MiniBatch::at(broken.x, 3, 0) = std::numeric_limits<float>::quiet_NaN();
    hurt.forward(broken, 0, 1);
    EXPECT_TRUE(std::isfinite(hurt.mean[3]) && std::isfinite(hurt.variance[3]));
    clean.mean = hurt.mean, clean.variance = hurt.variance;
    clean.forward(a, 0, 1), hurt.forward(b, 0, 1);
    EXPECT_EQ(a.y, b.y);
    EXPECT_EQ(clean.mean, hurt.mean);
  }
}

}  // namespace
}  // namespace dn
