// A plan as a whole: reuse of memory changes nothing, gradients add up over subdivisions, frozen and unreached layers, sizes, threads.
#include "graph/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/wiring.h"

namespace dn {
namespace {

// Every way a tensor can be read twice: routes, views, shortcuts, pools, two heads.
std::string net_text(bool normalized, const std::string& activation = "leaky") {
  const std::string bn = normalized ? "batch_normalize=1\n" : "";
  const std::string conv = "[convolutional]\n" + bn + "size=3\npad=1\nactivation=" + activation + "\n";
  return "[net]\nbatch=4\nsubdivisions=1\nwidth=32\nheight=32\nchannels=3\n"  //
         + conv + "filters=8\nstride=2\n"                                     // 0: 16 x 16
         + conv + "filters=16\n"                           // 1
         + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"                       // 2
         + conv + "filters=8\n"                                               // 3
         + "[route]\nlayers=-1,-2\n"                                          // 4: 16 channels
         + "[shortcut]\nfrom=1\nactivation=linear\n"                          // 5
         + "[maxpool]\nsize=2\nstride=2\n"                                    // 6: 8 x 8
         + conv + "filters=16\n"                                              // 7
         + "[convolutional]\nsize=1\nfilters=14\nactivation=linear\n"         // 8
         + "[yolo]\nmask=0,1\nanchors=4,5, 9,8, 14,20, 22,18\nclasses=2\nnum=4\nmax=10\n"  // 9
         + "[route]\nlayers=7\n"                                              // 10: a view
         + "[upsample]\nstride=2\n"                                           // 11: 16 x 16
         + "[route]\nlayers=-1,5\n"                                           // 12
         + conv + "filters=8\n"                                               // 13
         + "[convolutional]\nsize=1\nfilters=14\nactivation=linear\n"         // 14
         + "[yolo]\nmask=2,3\nanchors=4,5, 9,8, 14,20, 22,18\nclasses=2\nnum=4\nmax=10\n";  // 15
}

std::vector<float> images(const Shape& input, uint64_t seed = 1) {
  std::vector<float> out(input.count());
  Rng rng(seed, RandomUse::test, 5);
  for (float& v : out) v = static_cast<float>(rng.uniform());
  return out;
}

std::vector<std::vector<TruthBox>> truths(int n) {
  std::vector<std::vector<TruthBox>> out(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) {
    Rng rng(9, RandomUse::test, static_cast<uint64_t>(i));
    for (int k = 0; k < 3; ++k)
      out[static_cast<size_t>(i)].push_back({{static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.1, .9)),
                                              static_cast<float>(rng.uniform(.1, .6)), static_cast<float>(rng.uniform(.1, .6))},
                                             k % 2});
  }
  return out;
}

cpu::DeviceOptions direct(int threads = 2) { return {.threads = threads, .block = 0, .convolution = cpu::ConvAlgorithm::direct}; }

// Gradients after one batch of four images cut into `subdivisions`.
std::vector<float> gradients(const std::string& text, int subdivisions, bool keep_outputs, int threads = 2, int frozen = 0) {
  Network network = Network::from_text(text);
  network.params().initialize(5);
  cpu::Device device(direct(threads));
  const int mini = 4 / subdivisions;
  Plan plan(network, device, network.input(mini), {.training = true, .frozen = {frozen, frozen}, .keep_outputs = keep_outputs});
  const std::vector<float> all = images(network.input(4));
  const auto truth = truths(4);
  for (int m = 0; m < subdivisions; ++m) {
    Pass pass{.training = true, .param_grads = m == 0 ? Write::overwrite : Write::accumulate, .micro_step = m};
    pass.truth = std::span(truth).subspan(static_cast<size_t>(m * mini), static_cast<size_t>(mini));
    plan.set_input(all.data() + static_cast<size_t>(m * mini) * network.input(1).count());
    plan.forward(pass);
    plan.backward(pass);
  }
  return {network.params().grads().begin(), network.params().grads().end()};
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  double largest = 0;
  for (const float v : a) largest = std::max(largest, std::abs(static_cast<double>(v)));
  EXPECT_GT(largest, 0);
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance * largest) << i;
}

TEST(plan, reuse_of_memory_changes_nothing) {
  const auto reused = gradients(net_text(true), 1, false), kept = gradients(net_text(true), 1, true);
  EXPECT_EQ(0, std::memcmp(reused.data(), kept.data(), reused.size() * sizeof(float)));
}

TEST(plan, threads_change_nothing_of_ours) {
  expect_near(gradients(net_text(true), 1, false, 1), gradients(net_text(true), 1, false, 2), 1e-5);  // oneDNN may split its sums by thread
}

TEST(plan, without_batch_statistics_subdivisions_change_nothing) {
  const auto whole = gradients(net_text(false), 1, false);
  expect_near(whole, gradients(net_text(false), 2, false), 1e-5);
  expect_near(whole, gradients(net_text(false), 4, false), 1e-5);
}

TEST(plan, frozen_layers_get_no_gradient) {
  const auto grads = gradients(net_text(true), 1, false, 2, 4);
  const Network network = Network::from_text(net_text(true));
  for (const ParamSegment& s : network.params().segments()) {
    double sum = 0;
    for (size_t i = 0; i < s.spec.count; ++i) sum += std::abs(grads[s.offset + i]);
    if (s.layer < 4) {
      EXPECT_EQ(sum, 0) << s.layer << " " << s.spec.name;
    } else if (s.trained()) {
      EXPECT_GT(sum, 0) << s.layer << " " << s.spec.name;
    }
  }
}

// Before the iteration of stopbackward = N: parameters stand still, statistics are those of the batch and go on moving.
TEST(plan, statistics_follow_where_parameters_stand_still) {
  for (const bool statistics : {false, true}) {
    Network network = Network::from_text(net_text(true));
    network.params().initialize(5);
    cpu::Device device(direct());
    const Frozen frozen = statistics ? Frozen{0, 4} : Frozen{4, 4};
    Plan plan(network, device, network.input(4), {.training = true, .frozen = frozen, .keep_outputs = true});
    Plan whole(network, device, network.input(4), {.training = true, .keep_outputs = true});
    const auto truth = truths(4);
    const Pass pass{.training = true, .truth = truth};
    const std::vector<float> before = network.params().statistics(), all = images(network.input(4));
    plan.set_input(all.data());
    plan.forward(pass);
    plan.backward(pass);
    for (const ParamSegment& s : network.params().segments()) {
      const bool moved = !std::ranges::equal(network.params().values(s), std::vector<float>(s.spec.count, s.spec.init == Init::one ? 1.0f : 0.0f));
      if (!s.trained()) {
        EXPECT_EQ(moved, statistics || s.layer >= 4) << s.layer << " " << s.spec.name;
      }
      for (const float g : network.params().grads(s).first(s.layer < 4 ? s.spec.count : 0)) EXPECT_EQ(g, 0) << s.layer << " " << s.spec.name;
    }
    network.params().set_statistics(before);
    whole.set_input(all.data());
    whole.forward(pass);
    const Tensor got = plan.output(3), expected = whole.output(3);
    EXPECT_EQ(std::equal(got.data, got.data + got.desc.count(), expected.data), statistics);
    EXPECT_LT(plan.report().backward_steps, whole.report().backward_steps);
  }
}

TEST(network, frozen_by_iteration) {
  const auto frozen = [](const char* first, const char* second, int64_t iteration) {
    return Network::from_text(concat("[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\n", first, "\n[convolutional]\n", second, "\n[avgpool]\n")).frozen(iteration);
  };
  EXPECT_EQ(frozen("", "", 0), Frozen{});
  EXPECT_EQ(frozen("", "stopbackward=1", 1000), (Frozen{2, 2}));
  EXPECT_EQ(frozen("", "stopbackward=800", 799), (Frozen{0, 2}));
  EXPECT_EQ(frozen("", "stopbackward=800", 800), Frozen{});
  EXPECT_EQ(frozen("stopbackward=1", "stopbackward=800", 0), (Frozen{1, 2}));
  EXPECT_EQ(frozen("stopbackward=1", "stopbackward=800", 800), (Frozen{1, 1}));
  EXPECT_EQ(frozen("train_only_bn=1", "stopbackward=10", 10), (Frozen{0, 1}));
  EXPECT_EQ(frozen("stopbackward=1", "train_only_bn=1", 5), (Frozen{1, 2}));
}

// Nothing comes back through a layer with onlyforward; what lies before it learns from its other readers.
TEST(plan, onlyforward_ends_a_path) {
  const auto sums = [](const std::string& text) {
    const auto grads = gradients(text, 1, false);
    std::vector<double> of_layer(16, 0);
    const Network network = Network::from_text(text);
    for (const ParamSegment& s : network.params().segments())
      for (size_t i = 0; i < s.spec.count; ++i) of_layer[static_cast<size_t>(s.layer)] += std::abs(grads[s.offset + i]);
    return of_layer;
  };
  std::string text = net_text(false);
  const std::vector<double> all = sums(text);
  const size_t at = text.find("[maxpool]\n") + 10;   // layer 6, before 7 to 9; 5 is read by 12 too
  const std::vector<double> cut = sums(text.substr(0, at) + "onlyforward=1\n" + text.substr(at));
  EXPECT_GT(cut[7], 0);
  EXPECT_GT(cut[3], 0);
  EXPECT_NE(cut[3], all[3]);
  const size_t end = text.find("[upsample]\n") + 11;   // layer 11
  const std::vector<double> both = sums(text.substr(0, at) + "onlyforward=1\n" + text.substr(at, end - at) + "onlyforward=1\n" + text.substr(end));
  EXPECT_GT(both[3], 0);     // through the shortcut and layer 12
  EXPECT_GT(both[7], 0);     // its own head
  const size_t last = text.find("[route]\nlayers=-1,5\n") + 8;   // layer 12
  const std::vector<double> none = sums(text.substr(0, at) + "onlyforward=1\n" + text.substr(at, last - at) + "onlyforward=1\n" + text.substr(last));
  EXPECT_EQ(none[3], 0);
  EXPECT_EQ(none[0], 0);
  EXPECT_GT(none[13], 0);
}

// The chain rule over the whole network: with D the gradient that the two heads put on their inputs f (linear layers 8 and 14), the gradient of a
// parameter is D . df/dparameter, which differences of f give in the direction of a random vector per parameter.
TEST(plan, gradient_is_the_chain_rule_over_the_whole_network) {
  for (const bool normalized : {false, true}) {
    Network network = Network::from_text(net_text(normalized, "mish"));  // smooth: differences across kinks would say nothing
    network.params().initialize(5);
    cpu::Device device(direct());
    Plan plan(network, device, network.input(4), {.training = true, .keep_outputs = true});
    const std::vector<float> all = images(network.input(4));
    const auto truth = truths(4);
    Pass pass{.training = true};
    pass.truth = truth;
    plan.set_input(all.data());
    plan.forward(pass);
    plan.backward(pass);
    std::vector<std::vector<float>> heads;
    for (const int layer : {8, 14}) {
      const Tensor g = plan.output_gradient(layer);
      heads.emplace_back(g.data, g.data + g.desc.count());
    }
    const auto projected = [&] {
      plan.forward(pass);
      double sum = 0;
      for (const int layer : {8, 14}) {
        const Tensor y = plan.output(layer);
        const std::vector<float>& d = heads[layer == 8 ? 0 : 1];
        for (size_t i = 0; i < d.size(); ++i) sum += static_cast<double>(d[i]) * y.data[i];
      }
      return sum;
    };
    Rng rng(4, RandomUse::test);
    for (const ParamSegment& segment : network.params().segments()) {
      if (!segment.trained()) continue;
      const std::span<float> values = network.params().values(segment), grads = network.params().grads(segment);
      std::vector<float> direction(values.size()), before(values.begin(), values.end());
      double expected = 0, norm = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        direction[i] = static_cast<float>(rng.uniform(-1, 1));
        expected += static_cast<double>(grads[i]) * direction[i];
        norm += static_cast<double>(grads[i]) * grads[i];
      }
      const double h = 1e-3 / std::sqrt(static_cast<double>(values.size()));
      const auto moved = [&](double by) {
        for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(before[i] + by * direction[i]);
        network.params().touch();
        return projected();
      };
      const double difference = (moved(h) - moved(-h)) / (2 * h);
      moved(0);
      EXPECT_NEAR(difference, expected, 0.02 * std::max(std::sqrt(norm), 1e-2)) << "layer " << segment.layer << " " << segment.spec.name << " bn " << normalized;
    }
  }
}

// Everything that a step leaves behind.
struct Step {
  std::vector<float> numbers;   // gradients, weights with running statistics, losses
  PlanReport report;
};

Step one_step(int images_count, int block, const PlanOptions& options) {
  Network network = Network::from_text(net_text(true));
  network.params().initialize(5);
  cpu::Device device({.threads = 2, .block = block, .convolution = cpu::ConvAlgorithm::direct});
  Plan plan(network, device, network.input(images_count), options);
  const std::vector<float> all = images(network.input(images_count));
  const auto truth = truths(images_count);
  Pass pass{.training = true};
  pass.truth = truth;
  plan.set_input(all.data());
  plan.forward(pass);
  plan.backward(pass);
  Step out{{network.params().grads().begin(), network.params().grads().end()}, plan.report()};
  for (const ParamSegment& s : network.params().segments())
    out.numbers.insert(out.numbers.end(), network.params().values(s).begin(), network.params().values(s).end());
  for (const int head : {9, 15}) out.numbers.push_back(static_cast<float>(plan.loss(head).cost)), out.numbers.push_back(static_cast<float>(plan.loss(head).truths));
  return out;
}

void expect_same(const Step& a, const Step& b) {
  ASSERT_EQ(a.numbers.size(), b.numbers.size());
  EXPECT_EQ(0, std::memcmp(a.numbers.data(), b.numbers.data(), a.numbers.size() * sizeof(float)));
}

// Segments: parts of the network computed again in backward give the same gradients and leave the same running statistics, bit for bit; with slices
// and without, and when the batch is no multiple of anything.
TEST(plan, computing_segments_again_changes_nothing) {
  for (const int block : {8, 16})
    for (const int count : {4, 5}) {
      const Step whole = one_step(count, block, {.training = true, .slices = false});
      for (const bool slices : {false, true})
        for (const int segments : {0, 1, 2, 3, 4, 5, 6}) {
          const Step cut = one_step(count, block, {.training = true, .segments = segments, .slices = slices});
          SCOPED_TRACE(concat(segments, " segments, ", count, " images, block ", block, slices ? ", slices" : ""));
          EXPECT_GE(cut.report.segments, std::min(segments, 2));
          EXPECT_TRUE(segments == 0 || cut.report.arena_bytes < whole.report.arena_bytes);
          expect_same(cut, whole);
        }
    }
}

TEST(plan, any_budget_that_can_be_met_changes_nothing) {
  for (const int frozen : {0, 4}) {
    const Step whole = one_step(5, 8, {.training = true, .frozen = {frozen, frozen}});
    size_t least = 0;
    try {
      one_step(5, 8, {.training = true, .frozen = {frozen, frozen}, .segments = kAutomatic, .budget = 1});
      FAIL() << "a plan within one byte";
    } catch (const DoesNotFit& why) {
      least = why.least;
    }
    ASSERT_LT(least, whole.report.arena_bytes);
    for (int k = 0; k <= 8; ++k) {
      const size_t budget = least + (whole.report.arena_bytes - least) * static_cast<size_t>(k) / 8;
      const Step cut = one_step(5, 8, {.training = true, .frozen = {frozen, frozen}, .segments = kAutomatic, .budget = budget});
      SCOPED_TRACE(budget);
      EXPECT_LE(cut.report.arena_bytes, budget);
      EXPECT_EQ(cut.report.segments == 0, k == 8);
      expect_same(cut, whole);
    }
    EXPECT_THROW(one_step(5, 8, {.training = true, .frozen = {frozen, frozen}, .segments = 2, .budget = least / 2}), DoesNotFit);
  }
}

TEST(plan, same_network_at_another_size) {
  Network network = Network::from_text(net_text(true));
  network.params().initialize(5);
  cpu::Device device(direct());
  for (const int side : {32, 64, 96, 32}) {
    Plan plan(network, device, network.input(2, side, side), {});
    const auto x = images(network.input(2, side, side));
    plan.set_input(x.data());
    plan.forward({});
    EXPECT_EQ(plan.output(15).desc.shape, (Shape{2, 14, side / 2, side / 2}));
    for (size_t i = 0; i < plan.output(15).desc.count(); ++i) ASSERT_TRUE(std::isfinite(plan.output(15).data[i]));
  }
}

TEST(plan, has_no_reorders_and_saves_memory) {
  Network network = Network::from_text(net_text(true));
  cpu::Device device(direct());
  Plan plan(network, device, network.input(4), {.training = true});
  EXPECT_EQ(plan.report().reorders, 0);
  EXPECT_LT(plan.report().arena_bytes, plan.report().everything_live);
}

TEST(wiring, first_writer_overwrites_and_later_ones_accumulate) {
  const Network network = Network::from_text(net_text(true));
  const Wiring w = wire(network, true, 0);
  EXPECT_EQ(w.root[10], 7);
  EXPECT_EQ(w.dx[12][1], Write::overwrite);   // 5 is read last by 12
  EXPECT_EQ(w.dx[6][0], Write::accumulate);   // then by 6
  EXPECT_EQ(w.dx[11][0], Write::overwrite);   // 7 through the view 10
  EXPECT_EQ(w.dx[8][0], Write::accumulate);
  EXPECT_EQ(w.dx[0][0], Write::none);         // nobody wants the image's gradient
  for (const bool backward : wire(network, false, 0).backward) EXPECT_FALSE(backward);
}

}  // namespace
}  // namespace dn
