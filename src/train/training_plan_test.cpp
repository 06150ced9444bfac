// The plan of a run: what the cfg and the memory make of it, and that a refusal names what then works.
#include "train/training_plan.h"

#include <gtest/gtest.h>

#include "device/cpu/device.h"
#include "tests/harness/patterns.h"

namespace dn {
namespace {

using testing::first_match;
using testing::Groups;

Network network(const std::string& net_keys, int batch = 32) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\nfilters=16\n";
  return Network::from_text(concat("[net]\nbatch=", batch, "\nsubdivisions=1\nwidth=64\nheight=64\nchannels=3\n", net_keys) + conv + conv + conv + conv +
                            "[convolutional]\nsize=1\nfilters=14\nactivation=linear\n"
                            "[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n");
}

struct Answer {
  PlanReport report;
  std::string refusal;
};

Answer ask(const std::string& net_keys, size_t memory, int batch = 32) {
  Network net = network(net_keys, batch);
  cpu::Device device({.threads = 1, .block = 8, .convolution = cpu::ConvAlgorithm::direct});
  try {
    return {make_training_plan(net, device, {{64, 64}, batch, {}, memory})->report(), ""};
  } catch (const Error& e) {
    return {{}, e.what()};
  }
}

constexpr size_t kMiB = size_t{1} << 20;
const std::string kWhole = "norm_scope=batch\n";

TEST(training_plan, keys_and_memory_decide) {
  cpu::Device device({.threads = 1});
  const auto options = [&](const std::string& keys) { return training_plan_options(network(keys), device, {{64, 64}, 32, {}, 0}); };
  EXPECT_EQ(options("").budget, 0u);   // mini-batches are small: nobody asks
  EXPECT_EQ(options(kWhole).segments, kAutomatic);
  EXPECT_GT(options(kWhole).budget, 0u);
  const PlanOptions fixed = options(kWhole + "norm_exact_segments=3\n");
  EXPECT_EQ(fixed.segments, 3);
  EXPECT_EQ(fixed.budget, 0u);
  EXPECT_EQ(ask(kWhole, 4096 * kMiB).report.segments, 0);
}

TEST(training_plan, a_refusal_names_the_memory_and_the_batch_that_would_do) {
  const Answer no = ask(kWhole, 60 * kMiB);
  const Groups found = first_match(no.refusal, R"(32 images of 64 x 64 need .* at least.*-memory (\d+)M or more, or about batch = (\d+))");
  ASSERT_FALSE(found.empty()) << no.refusal;
  const size_t memory = static_cast<size_t>(std::stoi(found[1])) * kMiB;
  EXPECT_EQ(ask(kWhole, memory).refusal, "");
  EXPECT_NE(ask(kWhole, memory - 4 * kMiB).refusal, "");
  const int batch = std::stoi(found[2]);
  EXPECT_LT(batch, 32);
  EXPECT_EQ(ask(kWhole, 60 * kMiB, batch - 1).refusal, "");
  EXPECT_NE(ask(kWhole, 60 * kMiB, batch + 4).refusal, "");
  EXPECT_EQ(ask(kWhole, 2 * kMiB).refusal.find("batch ="), std::string::npos);   // no batch would fit
}

TEST(training_plan, a_refusal_names_segments_that_the_cfg_fixes) {
  const Answer no = ask(kWhole + "norm_exact_segments=0\n", 100 * kMiB);
  EXPECT_NE(no.refusal.find("norm_exact_segments = auto instead of 0 as the cfg says"), std::string::npos) << no.refusal;
  EXPECT_EQ(ask(kWhole, 100 * kMiB).refusal, "");
}

// Without whole batches memory is no limit until one is asked for.
TEST(training_plan, mini_batches_fit_into_a_memory_that_is_named) {
  const Answer free = ask("", 0), all = ask("", 1000 * kMiB), none = ask("", 1 * kMiB);
  EXPECT_EQ(free.report.segments, 0);
  EXPECT_EQ(all.report.segments, 0);
  const Groups found = first_match(none.refusal, R"(expected -memory (\d+)M or more)");
  ASSERT_FALSE(found.empty()) << none.refusal;
  const Answer least = ask("", static_cast<size_t>(std::stoi(found[1])) * kMiB);
  EXPECT_EQ(least.refusal, "");
  EXPECT_LT(least.report.arena_bytes, free.report.arena_bytes);
}

}  // namespace
}  // namespace dn
