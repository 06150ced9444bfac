// [contrastive] against its reference: losses, gradients by differences, layouts and threads, which cells take part; keys and refusals; in a network.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/contrastive/contrastive_ref.h"
#include "tests/harness/tensors.h"

namespace dn {
namespace {

constexpr Shape kNet{4, 3, 48, 64}, kIn{4, 15, 6, 8};
const std::string kYolo = "[yolo]\nmask=1,2,4\nanchors=6,8, 14,10, 12,22, 26,20, 40,30, 50,44\nclasses=4\nnum=6\n";

std::string text(const std::string& keys, const std::string& yolo = {}, const std::string& net = "contrastive=1\n", int filters = 15) {
  return concat("[net]\nwidth=64\nheight=48\nchannels=3\nbatch=4\n", net, "[convolutional]\nfilters=", filters,
                "\nsize=8\nstride=8\nactivation=linear\n[convolutional]\nfilters=27\nsize=1\nactivation=linear\n", kYolo, yolo,
                "[route]\nlayers=0\n[contrastive]\n", keys);
}

std::string complaint(const std::string& cfg) {
  ::testing::internal::CaptureStderr();
  std::string error;
  try {
    Network::from_text(cfg, "y.cfg");
  } catch (const Error& e) {
    error = e.what();
  }
  return ::testing::internal::GetCapturedStderr() + error;
}

const Contrastive& layer_of(const Network& network) { return static_cast<const Contrastive&>(*network.layers().back()); }

// Two images in two augmentations each: objects 10, 11, 20, 21, 22 twice, 23 once, one that is not known.
std::vector<std::vector<TruthBox>> pairs() {
  return {{{{.31f, .27f, .22f, .2f}, 1, 10}, {{.72f, .55f, .6f, .6f}, 1, 11}},
          {{{.12f, .86f, .21f, .2f}, 1, 10}, {{.4f, .4f, .6f, .6f}, 1, 11}, {{.9f, .1f, .2f, .4f}, 1, 0}},
          {{{.5f, .5f, .2f, .4f}, 1, 20}, {{.2f, .7f, .2f, .45f}, 2, 21}, {{.8f, .7f, .22f, .2f}, 1, 22}},
          {{{.6f, .4f, .2f, .4f}, 1, 20}, {{.3f, .6f, .2f, .45f}, 2, 21}, {{.7f, .8f, .22f, .2f}, 1, 22}, {{.1f, .1f, .6f, .6f}, 2, 23}}};
}

std::vector<float> random_input(uint64_t seed) {
  Rng rng(seed, RandomUse::test);
  std::vector<float> v(kIn.count());
  for (float& value : v) value = static_cast<float>(rng.uniform(-1, 1));
  return v;
}

// Where sample k lies: image, anchor, cell. Written out by hand from pairs(): anchors 1, 2, 4 are 14x10, 12x22, 40x30 pixels of 64 x 48.
struct Place {
  int image, anchor, row, column;
  uint64_t object;
  int class_id;
};
const std::vector<Place> kPlaces{{0, 0, 1, 2, 10, 1}, {0, 2, 3, 5, 11, 1}, {1, 0, 5, 0, 10, 1}, {1, 2, 2, 3, 11, 1},
                                 {2, 1, 3, 4, 20, 1}, {2, 1, 4, 1, 21, 2}, {2, 0, 4, 6, 22, 1}, {3, 1, 2, 4, 20, 1},
                                 {3, 1, 3, 2, 21, 2}, {3, 0, 4, 5, 22, 1}, {3, 2, 0, 0, 23, 2}};

size_t plain_offset(const Place& p, int k) {
  return ((static_cast<size_t>(p.image) * 15 + static_cast<size_t>(p.anchor * 5 + k)) * 6 + static_cast<size_t>(p.row)) * 8 +
         static_cast<size_t>(p.column);
}

template <class Values>
std::vector<double> expected_losses(const ContrastiveSpec& spec, const Values& x) {
  std::vector<ContrastiveSample<double>> samples;
  for (const Place& p : kPlaces) {
    samples.push_back({{}, p.object, p.class_id});
    for (int k = 0; k < 5; ++k) samples.back().embedding.push_back(static_cast<double>(x[plain_offset(p, k)]));
  }
  return contrastive_reference(spec, samples);
}

struct Result {
  std::vector<float> y, dx;  // plain
  LossReport loss;
};

Result run(const Contrastive& layer, const std::vector<float>& x, const std::vector<std::vector<TruthBox>>& truths, int block, int threads,
           Write mode, float before) {
  cpu::Device device({.threads = threads, .block = 8});
  const TensorDesc in{kIn, block}, out{{kIn.n, 1, 1, 1}, 1};
  std::vector<float> values(in.count(), 0), gradients(in.count(), before);
  const Tensor xs[] = {{in, values.data()}}, dxs[] = {{in, gradients.data()}};
  testing::pack(x, xs[0]);
  const auto kernel =
      Contrastive::compile_cpu(layer, device, {.x = {in}, .y = out, .network_input = kNet, .training = true, .backward = true, .dx = {mode}});
  std::vector<float> saved(kernel->needs().saved.at(0) / sizeof(float), NAN);
  std::byte* const kept[] = {reinterpret_cast<std::byte*>(saved.data())};
  Result result;
  result.y.assign(4, NAN);
  Io io{.x = xs, .dx = dxs, .y = {out, result.y.data()}, .saved = kept, .loss = &result.loss};
  Pass pass;
  pass.training = true;
  pass.truth = truths;
  kernel->forward(io, pass);
  std::fill(values.begin(), values.end(), NAN);  // backward has no need of x
  kernel->backward(io, pass);
  result.dx = testing::unpack<float>(dxs[0]);
  for (int n = 0; n < kIn.n; ++n)
    for (int c = kIn.c; c < in.padded_channels(); ++c)
      for (int cell = 0; cell < 48; ++cell)
        EXPECT_EQ(dxs[0].at(n, c, cell / 8, cell % 8), mode == Write::overwrite ? 0 : before) << "padding lane " << c;
  return result;
}

void check(const std::string& keys) {
  const Network network = Network::from_text(text("yolo_layer=-2\n" + keys));
  const ContrastiveSpec& spec = layer_of(network).spec();
  const std::vector<float> x = random_input(3);
  const Result got = run(layer_of(network), x, pairs(), 8, 1, Write::overwrite, NAN);
  const std::vector<double> losses = expected_losses(spec, x);
  std::vector<double> images(4, 0);
  double cost = 0;
  for (size_t k = 0; k < losses.size(); ++k) images[static_cast<size_t>(kPlaces[k].image)] += losses[k], cost += losses[k];
  for (size_t n = 0; n < 4; ++n) EXPECT_NEAR(static_cast<double>(got.y[n]), images[n], 1e-5 * cost) << keys;
  EXPECT_NEAR(got.loss.cost, cost, 1e-9 * cost);
  std::vector<double> moved(x.begin(), x.end()), derivative(x.size(), 0);
  for (const Place& p : kPlaces)
    for (int k = 0; k < 5; ++k) {
      const size_t at = plain_offset(p, k);
      const double here = moved[at], step = 1e-5;
      const auto total = [&](double value) {
        moved[at] = value;
        double sum = 0;
        for (const double loss : expected_losses(spec, moved)) sum += loss;
        return sum;
      };
      derivative[at] = (total(here + step) - total(here - step)) / (2 * step);
      moved[at] = here;
    }
  double largest = 0;
  for (const double d : derivative) largest = std::max(largest, std::fabs(d));
  ASSERT_GT(largest, 1e-3);
  for (size_t i = 0; i < derivative.size(); ++i)
    ASSERT_NEAR(static_cast<double>(got.dx[i]), derivative[i], 1e-6 * std::max(1.0, largest)) << keys << i;
}

}  // namespace

TEST(contrastive, loss_and_gradient) {
  for (const char* keys : {"", "temperature=.1\n", "temperature=5\ncls_normalizer=.3\n", "contrastive_neg_max=1\n", "contrastive_neg_max=100\n"})
    check(keys);
}

TEST(contrastive, every_layout_thread_count_and_mode_gives_the_same) {
  const Network network = Network::from_text(text("yolo_layer=2\n"));
  const std::vector<float> x = random_input(4);
  const Result one = run(layer_of(network), x, pairs(), 1, 1, Write::overwrite, NAN);
  for (const int block : {1, 8, 16})
    for (const int threads : {1, 3}) {
      const Result other = run(layer_of(network), x, pairs(), block, threads, Write::overwrite, NAN);
      EXPECT_EQ(other.y, one.y);
      EXPECT_EQ(other.dx, one.dx);
      const Result added = run(layer_of(network), x, pairs(), block, threads, Write::accumulate, 2);
      for (size_t i = 0; i < one.dx.size(); ++i) ASSERT_EQ(added.dx[i], 2 + one.dx[i]);
    }
}

TEST(contrastive, max_delta_bounds_the_gradient) {
  const Network network = Network::from_text(text("yolo_layer=2\nmax_delta=.01\n")), free = Network::from_text(text("yolo_layer=2\n"));
  const Result bound = run(layer_of(network), random_input(5), pairs(), 8, 1, Write::overwrite, NAN);
  const Result all = run(layer_of(free), random_input(5), pairs(), 8, 1, Write::overwrite, NAN);
  size_t cut = 0;
  for (size_t i = 0; i < all.dx.size(); ++i) {
    EXPECT_EQ(bound.dx[i], std::clamp(all.dx[i], -.01f, .01f));
    cut += bound.dx[i] != all.dx[i];
  }
  EXPECT_GT(cut, 5u);
}

// Without a second view of any object, without others of its class, or without truths there is nothing to compare.
TEST(contrastive, nothing_to_compare_is_no_loss) {
  const Network network = Network::from_text(text("yolo_layer=2\n"));
  std::vector<std::vector<TruthBox>> single = pairs(), alone(4), none(4);
  single[1] = single[3] = {};
  for (const int n : {0, 1}) alone[static_cast<size_t>(n)] = {{{.31f, .27f, .22f, .2f}, 1, 10}};
  for (const auto& truths : {single, alone, none}) {
    const Result result = run(layer_of(network), random_input(6), truths, 8, 2, Write::overwrite, NAN);
    EXPECT_EQ(result.loss.cost, 0);
    for (const float v : result.dx) ASSERT_EQ(v, 0);
  }
}

TEST(contrastive, the_last_truth_stands_for_a_shared_cell) {
  const Network network = Network::from_text(text("yolo_layer=2\n"));
  std::vector<std::vector<TruthBox>> shared = pairs(), last = pairs();
  shared[0].insert(shared[0].begin(), {{.31f, .27f, .22f, .2f}, 1, 20});  // the cell of object 10
  const Result a = run(layer_of(network), random_input(7), shared, 8, 1, Write::overwrite, NAN);
  const Result b = run(layer_of(network), random_input(7), last, 8, 1, Write::overwrite, NAN);
  EXPECT_GT(b.loss.cost, 0);
  EXPECT_EQ(a.dx, b.dx);
}

TEST(contrastive, embeddings_without_length_are_passed_over) {
  const Network network = Network::from_text(text("yolo_layer=2\n"));
  std::vector<float> x = random_input(8);
  for (int k = 0; k < 5; ++k) x[plain_offset(kPlaces[0], k)] = 0, x[plain_offset(kPlaces[4], k)] = k == 2 ? NAN : 1;
  const Result result = run(layer_of(network), x, pairs(), 8, 1, Write::overwrite, NAN);
  EXPECT_GT(result.loss.cost, 0);
  for (const float v : result.dx) ASSERT_TRUE(std::isfinite(v));
}

TEST(contrastive, refusals_and_warnings) {
  EXPECT_NE(complaint(text("")).find("'yolo_layer' is missing; expected the earlier [yolo]"), std::string::npos);
  EXPECT_NE(complaint(text("yolo_layer=0\n")).find("yolo_layer = 0: layer 0 is [convolutional]; expected a [yolo]"), std::string::npos);
  EXPECT_NE(complaint(text("yolo_layer=-9\n")).find("-9 is not an earlier layer"), std::string::npos);
  EXPECT_NE(complaint(text("yolo_layer=-2\n", "", "contrastive=1\n", 16)).find("gives 8 x 6 x 16; expected 8 x 6 and a multiple of 3 channels"),
            std::string::npos);
  EXPECT_NE(
      complaint(text("yolo_layer=-2\n", "embedding_layer=1\n")).find("gives 15 channels; expected 27 as layer 1, the embedding_layer of layer 2"),
      std::string::npos);
  EXPECT_NE(complaint(text("yolo_layer=-2\n", "", "")).find("[net] contrastive = 0"), std::string::npos);
  EXPECT_NE(complaint(text("yolo_layer=-2\nclasses=1\n")).find("classes = 1: the [yolo] head has 4: no effect"), std::string::npos);
  EXPECT_EQ(
      complaint(text("yolo_layer=-2\nclasses=4\nmax_delta=10\ntemperature=1.0\ncls_normalizer=1.0\n", "embedding_layer=-2\n")).find("[contrastive]"),
      std::string::npos);
  for (const KeyHelp& row : Contrastive::keys()) EXPECT_FALSE(row.doc.empty()) << row.name;
}

// As part of a training: both losses reach the embeddings' convolution; at inference it says nothing.
TEST(contrastive, in_a_network) {
  Network network = Network::from_text(text("yolo_layer=-2\n"));
  network.params().initialize(1);
  Rng rng(1, RandomUse::test);
  std::vector<float> images(kNet.count());
  for (float& v : images) v = static_cast<float>(rng.uniform());
  std::vector<std::vector<float>> gradients;
  for (const int threads : {1, 2}) {
    cpu::Device device({.threads = threads, .block = 8});
    Plan plan(network, device, kNet, {.training = true, .keep_outputs = true});
    const auto truths = pairs();
    Pass pass;
    pass.training = true;
    pass.truth = truths;
    plan.set_input(images.data());
    plan.forward(pass);
    plan.backward(pass);
    EXPECT_GT(plan.loss(4).cost, 0);
    EXPECT_GT(plan.loss(2).cost, 0);
    const auto grads = network.params().grads();
    gradients.emplace_back(grads.begin(), grads.end());
    Plan inference(network, device, kNet, {});
    inference.set_input(images.data());
    inference.forward({});
    EXPECT_EQ(inference.output(4).data[3], 0);
  }
  double sum = 0;
  for (const float g : gradients[0]) sum += std::fabs(static_cast<double>(g));
  EXPECT_GT(sum, 0);
  EXPECT_TRUE(std::isfinite(sum));
}

}  // namespace dn
