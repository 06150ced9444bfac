// What holds for normalizations whatever their formula: independence of how a batch is cut, ranks, invariances, numbers far from zero.
#include "nn/norm.h"

#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "base/aligned.h"
#include "base/rng.h"
#include "comm/group.h"

namespace dn {
namespace {

TensorDesc desc_of(int images, int channels = 12, int side = 5) { return {{images, channels, side, side + 1}, 8}; }

NormSpec spec_of(NormKind kind, NormScope scope = NormScope::minibatch) {
  NormSpec s;
  s.kind = kind, s.scope = scope, s.groups = 4, s.update_per_batch = scope != NormScope::minibatch;
  return s;
}

// A normalization with parameters and buffers of its own for `desc`.
struct Bench {
  Bench(const NormSpec& spec, const TensorDesc& d, Activation activation = Activation::mish)
      : desc(d), norm(make_norm(spec, d, activation, 2, false)), saved(norm->saved_bytes() / 4 + 16), scratch(norm->backward_scratch_bytes() / 4 + 16) {
    const size_t channels = static_cast<size_t>(d.shape.c);
    for (size_t c = 0; c < channels; ++c) gamma.push_back(1 + .05f * static_cast<float>(c)), beta.push_back(.1f * static_cast<float>(c)), tau.push_back(-.2f);
    mean.assign(channels, .4f), variance.assign(channels, .9f);
    dgamma.assign(channels, 0), dbeta = dtau = dgamma;
    y.resize(d.count()), dx.resize(d.count());
  }
  NormParams params() { return {{beta, dbeta}, {gamma, dgamma}, {mean, {}}, {variance, {}}, {tau, dtau}, &state, nullptr}; }
  void forward(const AlignedFloats& x, const Pass& pass = {}) {
    norm->collect(tensor(x), params(), bytes(saved), pass);
    norm->apply(tensor(x), params(), bytes(saved), tensor(y));
  }
  void backward(const AlignedFloats& x, const AlignedFloats& dy, const Pass& pass = {}) {
    norm->backward(tensor(x), tensor(dy), params(), bytes(saved), bytes(scratch), pass, tensor(dx));
  }
  Tensor tensor(const AlignedFloats& values) const { return {desc, const_cast<float*>(values.data())}; }
  static std::byte* bytes(AlignedFloats& floats) { return reinterpret_cast<std::byte*>(floats.data()); }
  TensorDesc desc;
  std::unique_ptr<Norm> norm;
  AlignedFloats saved, scratch, y, dx;
  std::vector<float> gamma, beta, tau, mean, variance, dgamma, dbeta, dtau;
  NormState state{ParamStore::kWarm, {}};
};

// Values of the channels; the padding is zero.
AlignedFloats values(const TensorDesc& d, uint64_t seed, double offset = .3) {
  AlignedFloats out(d.count());
  Rng rng(seed, RandomUse::test);
  for (int n = 0; n < d.shape.n; ++n)
    for (int c = 0; c < d.shape.c; ++c)
      for (int y = 0; y < d.shape.h; ++y)
        for (int x = 0; x < d.shape.w; ++x) out[d.offset(n, c, y, x)] = static_cast<float>(rng.uniform(-1, 1) + offset * c);
  return out;
}

AlignedFloats part(const AlignedFloats& whole, const TensorDesc& d, int first, int images) {
  const auto from = whole.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(first) * d.image_stride());
  return AlignedFloats(from, from + static_cast<ptrdiff_t>(static_cast<size_t>(images) * d.image_stride()));
}

double largest_difference(const AlignedFloats& a, const AlignedFloats& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return most;
}

// Kinds of one image, and frozen statistics: cut into mini-batches, nothing changes by a bit, gradients of parameters included.
TEST(norm, what_knows_one_image_does_not_see_how_a_batch_is_cut) {
  NormSpec frozen = spec_of(NormKind::bn);
  frozen.frozen = NormFrozen::stats;
  for (const NormSpec& spec : {spec_of(NormKind::gn), spec_of(NormKind::ln), spec_of(NormKind::in), spec_of(NormKind::lnc), spec_of(NormKind::frn), frozen}) {
    const TensorDesc whole = desc_of(6);
    const AlignedFloats x = values(whole, 1), dy = values(whole, 2, 0);
    Bench all(spec, whole);
    all.forward(x), all.backward(x, dy);
    for (const int images : {1, 2, 3}) {
      Bench some(spec, desc_of(images));
      for (int first = 0; first < 6; first += images) {
        Pass pass;
        pass.param_grads = first == 0 ? Write::overwrite : Write::accumulate;
        const AlignedFloats px = part(x, whole, first, images), pdy = part(dy, whole, first, images);
        some.forward(px), some.backward(px, pdy, pass);
        EXPECT_EQ(some.y, part(all.y, whole, first, images)) << spec.text();
        EXPECT_EQ(some.dx, part(all.dx, whole, first, images)) << spec.text();
      }
      EXPECT_EQ(some.dgamma, all.dgamma) << spec.text() << " in parts of " << images;
      EXPECT_EQ(some.dbeta, all.dbeta) << spec.text() << " in parts of " << images;
      EXPECT_EQ(some.dtau, all.dtau) << spec.text() << " in parts of " << images;
    }
  }
}

// Ranks as threads: a gather waits for all of them.
class FakeRanks {
 public:
  explicit FakeRanks(int size) : slots_(static_cast<size_t>(size)), barrier_(size) {}
  class Rank : public comm::Group {
   public:
    Rank(FakeRanks& all, int rank) : all_(all), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return static_cast<int>(all_.slots_.size()); }
    void all_gather(std::span<const double> mine, std::span<double> all) const override {
      all_.slots_[static_cast<size_t>(rank_)].assign(mine.begin(), mine.end());
      all_.barrier_.arrive_and_wait();
      for (size_t r = 0; r < all_.slots_.size(); ++r) std::ranges::copy(all_.slots_[r], all.begin() + static_cast<ptrdiff_t>(r * mine.size()));
      all_.barrier_.arrive_and_wait();
    }

   private:
    FakeRanks& all_;
    int rank_;
  };

 private:
  std::vector<std::vector<double>> slots_;
  std::barrier<> barrier_;
};

// Ranks of 2, 0, 1 and 3 images are one batch of six, and identical everywhere; the gradients of the parameters are each rank's own share.
TEST(norm, ranks_of_any_size_are_one_batch) {
  NormSpec spec = spec_of(NormKind::bn);
  spec.sync = true;
  const TensorDesc whole = desc_of(6);
  const AlignedFloats x = values(whole, 1), dy = values(whole, 2, 0);
  Bench all(spec, whole);
  all.forward(x), all.backward(x, dy);
  for (const std::vector<int>& sizes : {std::vector{2, 0, 1, 3}, std::vector{3, 1, 0, 2}, std::vector{6}}) {
    FakeRanks ranks(static_cast<int>(sizes.size()));
    std::vector<std::unique_ptr<Bench>> benches;
    for (const int size : sizes) benches.push_back(std::make_unique<Bench>(spec, desc_of(size)));
    std::vector<std::thread> threads;
    for (size_t r = 0; r < sizes.size(); ++r)
      threads.emplace_back([&, r] {
        const FakeRanks::Rank rank(ranks, static_cast<int>(r));
        Pass pass;
        pass.group = &rank;
        const int first = std::accumulate(sizes.begin(), sizes.begin() + static_cast<ptrdiff_t>(r), 0);
        const AlignedFloats px = part(x, whole, first, sizes[r]), pdy = part(dy, whole, first, sizes[r]);
        benches[r]->forward(px, pass), benches[r]->backward(px, pdy, pass);
      });
    for (std::thread& thread : threads) thread.join();
    std::vector<double> dgamma(all.dgamma.size());
    int first = 0;
    for (size_t r = 0; r < sizes.size(); first += sizes[r++]) {
      EXPECT_LT(largest_difference(benches[r]->y, part(all.y, whole, first, sizes[r])), 2e-6);
      EXPECT_LT(largest_difference(benches[r]->dx, part(all.dx, whole, first, sizes[r])), 2e-6);
      EXPECT_EQ(benches[r]->mean, benches[0]->mean);
      EXPECT_EQ(benches[r]->variance, benches[0]->variance);
      for (size_t c = 0; c < dgamma.size(); ++c) dgamma[c] += static_cast<double>(benches[r]->dgamma[c]);
      if (sizes.size() > 1) continue;
      EXPECT_EQ(benches[0]->y, all.y);   // alone: bit for bit
      EXPECT_EQ(benches[0]->dx, all.dx);
    }
    for (size_t c = 0; c < dgamma.size(); ++c) {
      EXPECT_NEAR(benches[0]->mean[c], all.mean[c], 1e-7);
      EXPECT_NEAR(dgamma[c], all.dgamma[c], 2e-5);
    }
  }
}

// The sums are taken around the mean, so values far from zero keep their variance.
TEST(norm, variance_far_from_zero) {
  for (const double mean : {0., 1., 1e2, 1e4}) {
    const TensorDesc d{{4, 8, 30, 31}, 8};
    AlignedFloats x(d.count());
    Rng rng(3, RandomUse::test);
    for (float& v : x) v = static_cast<float>(mean + rng.uniform(-1.7, 1.7));
    std::vector<Moments> moments(8);
    channel_moments(2, {d, x.data()}, moments);
    for (int c = 0; c < 8; ++c) {
      double sum = 0, squares = 0, count = 0;
      for (size_t i = static_cast<size_t>(c); i < x.size(); i += 8) sum += static_cast<double>(x[i]), count += 1;
      for (size_t i = static_cast<size_t>(c); i < x.size(); i += 8) squares += (x[i] - sum / count) * (x[i] - sum / count);
      EXPECT_NEAR(moments[static_cast<size_t>(c)].variance() / (squares / count), 1, 1e-5) << mean;
      EXPECT_EQ(moments[static_cast<size_t>(c)].count, count);
    }
  }
}

// Duplicating every image changes neither y nor dx of a copy when dy is the same, and doubles the gradients of the parameters.
TEST(norm, duplicated_images) {
  const TensorDesc one = desc_of(3), two = desc_of(6);
  AlignedFloats x = values(one, 1), dy = values(one, 2, 0);
  Bench once(spec_of(NormKind::bn), one), twice(spec_of(NormKind::bn), two);
  once.forward(x), once.backward(x, dy);
  AlignedFloats xx = x, dydy = dy;
  xx.insert(xx.end(), x.begin(), x.end()), dydy.insert(dydy.end(), dy.begin(), dy.end());
  twice.forward(xx), twice.backward(xx, dydy);
  for (const int first : {0, 3}) {
    EXPECT_LT(largest_difference(part(twice.y, two, first, 3), once.y), 1e-6);
    EXPECT_LT(largest_difference(part(twice.dx, two, first, 3), once.dx), 1e-6);
  }
  for (size_t c = 0; c < once.dgamma.size(); ++c) {
    EXPECT_NEAR(twice.dgamma[c], 2 * once.dgamma[c], 1e-5);
    EXPECT_NEAR(twice.dbeta[c], 2 * once.dbeta[c], 1e-5);
  }
}

// Images in another order: the outputs follow. A constant added to a channel, or a factor on all of x with eps by its square: no change.
TEST(norm, permutation_shift_and_scale) {
  const TensorDesc d = desc_of(4);
  const AlignedFloats x = values(d, 1), dy = values(d, 2, 0);
  AlignedFloats turned, shifted = x, scaled = x;
  for (const int n : {2, 0, 3, 1}) {
    const AlignedFloats image = part(x, d, n, 1);
    turned.insert(turned.end(), image.begin(), image.end());
  }
  for (int n = 0; n < 4; ++n)
    for (int c = 0; c < d.shape.c; ++c)
      for (int y = 0; y < d.shape.h; ++y)
        for (int w = 0; w < d.shape.w; ++w) shifted[d.offset(n, c, y, w)] += static_cast<float>(c - 5), scaled[d.offset(n, c, y, w)] *= 4;
  NormSpec wide = spec_of(NormKind::bn);
  wide.eps *= 16;
  Bench plain(spec_of(NormKind::bn), d), other(spec_of(NormKind::bn), d), wider(wide, d);
  plain.forward(x), other.forward(turned);
  int at = 0;
  for (const int n : {2, 0, 3, 1}) EXPECT_LT(largest_difference(part(other.y, d, at++, 1), part(plain.y, d, n, 1)), 1e-6);
  other.forward(shifted), wider.forward(scaled);
  EXPECT_LT(largest_difference(other.y, plain.y), 5e-6);
  EXPECT_EQ(wider.y, plain.y);   // a power of two: bit for bit
}

// A two-pass batch normalizes every mini-batch with the same pool, so their order does not matter; a batch of NaN before it leaves no trace.
TEST(norm, two_passes_do_not_know_the_order) {
  const TensorDesc d = desc_of(2);
  const AlignedFloats a = values(d, 1), b = values(d, 2, .1);
  AlignedFloats broken = a;
  broken[0] = std::numeric_limits<float>::quiet_NaN();
  const auto run = [&](Bench& bench, std::vector<const AlignedFloats*> order) {
    std::vector<AlignedFloats> y;
    for (const Pass::Stage stage : {Pass::Stage::gather, Pass::Stage::finish})
      for (size_t j = 0; j < order.size(); ++j) {
        Pass pass;
        pass.stage = stage, pass.micro_step = static_cast<int>(j), pass.micro_steps = static_cast<int>(order.size());
        bench.forward(*order[j], pass);
        if (stage == Pass::Stage::finish) y.push_back(bench.y);
      }
    return y;
  };
  Bench one(spec_of(NormKind::bn, NormScope::twopass), d), two(spec_of(NormKind::bn, NormScope::twopass), d);
  run(two, {&broken, &b});
  two.mean = one.mean, two.variance = one.variance;   // of the channels without NaN they moved
  const auto forwards = run(one, {&a, &b}), backwards = run(two, {&b, &a});
  EXPECT_LT(largest_difference(forwards[0], backwards[1]), 1e-6);
  EXPECT_LT(largest_difference(forwards[1], backwards[0]), 1e-6);
  EXPECT_EQ(one.state.updates, ParamStore::kWarm + 1);   // once for the batch
}

// precise_bn: the running statistics become those of all mini-batches together, between-mini-batch variance included.
TEST(norm, running_statistics_taken_anew) {
  const TensorDesc d = desc_of(2), whole = desc_of(4);
  for (const NormKind kind : {NormKind::bn, NormKind::brn}) {
    const AlignedFloats a = values(d, 1), b = values(d, 2, .5);
    Bench bench(spec_of(kind), d);
    for (int j = 0; j < 2; ++j) {
      Pass pass;
      pass.stage = Pass::Stage::estimate, pass.micro_step = j, pass.micro_steps = 2;
      bench.forward(j == 0 ? a : b, pass);
    }
    AlignedFloats both = a;
    both.insert(both.end(), b.begin(), b.end());
    std::vector<Moments> moments(12);
    channel_moments(1, {whole, both.data()}, moments);
    for (size_t c = 0; c < 12; ++c) {
      EXPECT_NEAR(bench.mean[c], moments[c].mean, 1e-6);
      EXPECT_NEAR(bench.variance[c], moments[c].unbiased_variance(), 1e-6);
    }
  }
}

// Caffe divides geometric sums of statistics by the geometric sum of ones.
TEST(norm, presets_of_running_statistics) {
  const TensorDesc d = desc_of(2);
  NormSpec caffe = spec_of(NormKind::bn);
  caffe.start = NormStart::debiased, caffe.momentum = .001;
  Bench bench(caffe, d);
  bench.state.updates = 0;
  double mean = 0, factor = 0;
  for (const uint64_t seed : {1, 2, 3}) {
    AlignedFloats x = values(d, seed, .2);
    bench.forward(x);
    std::vector<Moments> moments(12);
    channel_moments(1, {d, x.data()}, moments);
    mean = .999 * mean + moments[3].mean, factor = .999 * factor + 1;
  }
  EXPECT_NEAR(bench.mean[3], mean / factor, 1e-6);

  // eps outside the root, variances over n - 1: y and dx of pjreddie's forward, by differences.
  NormSpec outside = spec_of(NormKind::bn);
  outside.eps_outside = outside.unbiased = true, outside.eps = .01;
  Bench odd(outside, d, Activation::linear);
  AlignedFloats x = values(d, 4), dy = values(d, 5, 0);
  const auto loss = [&](size_t probe, double by) {   // of channel 2, in double
    std::vector<double> v, g;
    for (int n = 0; n < 2; ++n)
      for (int r = 0; r < d.shape.h; ++r)
        for (int w = 0; w < d.shape.w; ++w) v.push_back(x[d.offset(n, 2, r, w)]), g.push_back(dy[d.offset(n, 2, r, w)]);
    v[probe] += by;
    double m = 0, s = 0, sum = 0;
    for (const double value : v) m += value / static_cast<double>(v.size());
    for (const double value : v) s += (value - m) * (value - m) / (static_cast<double>(v.size()) - 1);
    for (size_t i = 0; i < v.size(); ++i) sum += g[i] * ((v[i] - m) / (std::sqrt(s) + .01) * static_cast<double>(odd.gamma[2]) + static_cast<double>(odd.beta[2]));
    return sum;
  };
  odd.forward(x), odd.backward(x, dy);
  for (const int w : {0, 3}) EXPECT_NEAR(odd.dx[d.offset(0, 2, 0, w)], (loss(static_cast<size_t>(w), 1e-5) - loss(static_cast<size_t>(w), -1e-5)) / 2e-5, 1e-5);
}

}  // namespace
}  // namespace dn
