// The learning rates that the reference program computed (golden/rates: POLICY.cfg and rows `iteration rate`), where that folder is at hand.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "config/section.h"
#include "train/schedule.h"

namespace dn {
namespace {

fs::path golden_folder() {
  const char* given = std::getenv("DN_GOLDEN");
  return given ? fs::path(given) / "rates" : fs::path(DN_SOURCE_DIR) / ".." / "shared" / "golden" / "rates";
}

TEST(schedule_golden, every_policy_of_the_reference) {
  const fs::path folder = golden_folder();
  if (!fs::is_directory(folder)) GTEST_SKIP() << folder << " is not there";
  int policies = 0;
  for (const auto& item : fs::directory_iterator(folder)) {
    if (item.path().extension() != ".txt") continue;
    ++policies;
    fs::path cfg = item.path();
    Problems problems;
    const std::vector<Section> sections = read_sections(cfg.replace_extension(".cfg"), problems);
    ASSERT_FALSE(sections.empty());
    const NetSpec net = bind_net(sections.front(), problems);
    problems.settle();
    int rows = 0;
    for (const std::string& line : read_lines(item.path())) {
      if (line.empty() || line.front() == '#') continue;
      const auto fields = split(line, ' ');
      ASSERT_EQ(fields.size(), 2u) << line;
      const int64_t iteration = parse_integer(fields[0]).value();
      const double expected = parse_real(fields[1]).value();
      EXPECT_NEAR(rate(net, iteration), expected, 1e-6 * std::abs(expected)) << item.path() << " iteration " << iteration;
      ++rows;
    }
    EXPECT_GT(rows, 20) << item.path();
  }
  EXPECT_EQ(policies, 7);
}

NetSpec spec(const char* policy) {
  NetSpec net;
  net.policy = policy;
  net.learning_rate = .01;
  net.max_batches = 1000;
  return net;
}

TEST(schedule, burn_in_goes_before_every_policy) {
  NetSpec net = spec("steps");
  net.burn_in = 100;
  net.steps = {50, 500};
  net.scales = {.1f, .5f};
  EXPECT_DOUBLE_EQ(rate(net, 0), 0);
  EXPECT_DOUBLE_EQ(rate(net, 50), .01 / 16);  // (1/2)^4, no step yet
  EXPECT_NEAR(rate(net, 100), .001, 1e-9);    // the first batch after burn-in
  EXPECT_NEAR(rate(net, 499), .001, 1e-9);
  EXPECT_NEAR(rate(net, 500), .0005, 1e-9);
}

TEST(schedule, poly_never_goes_below_zero) {
  const NetSpec net = spec("poly");
  EXPECT_EQ(rate(net, 1000), 0);
  EXPECT_EQ(rate(net, 5000), 0);
}

TEST(schedule, sgdr_without_a_cycle_spans_the_run) {
  const NetSpec net = spec("sgdr");
  EXPECT_NEAR(rate(net, 500), (.01 + 1e-5) / 2, 1e-9);
  EXPECT_NEAR(rate(net, 1000), 1e-5, 1e-12);
}

TEST(schedule, random_depends_on_seed_and_batch_only) {
  const NetSpec net = spec("random");
  EXPECT_EQ(rate(net, 7, 3), rate(net, 7, 3));
  EXPECT_NE(rate(net, 7, 3), rate(net, 8, 3));
  EXPECT_NE(rate(net, 7, 3), rate(net, 7, 4));
  for (int b = 0; b < 200; ++b) {
    EXPECT_GE(rate(net, b), 0);
    EXPECT_LT(rate(net, b), .01);
  }
}

}  // namespace
}  // namespace dn
