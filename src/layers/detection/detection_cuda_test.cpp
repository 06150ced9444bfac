// [detection] on a GPU beside the host's kernel.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "layers/detection/detection.h"
#include "tests/harness/head_section.h"
#include "tests/harness/head_step.h"

namespace dn {
namespace {

using testing::HeadCase;
using testing::HeadStep;

constexpr int kClasses = 4, kBoxes = 3, kSide = 5;
constexpr Shape kNet{3, 3, 64, 64};
const std::string kHead = "[detection]\nclasses=4\ncoords=4\nside=5\nnum=3\nmax=20\n";

// flat: as a [connected] makes it; else as a map, whose [C,H,W] order is the same.
HeadCase head_case(uint64_t seed, bool flat, uint64_t iteration = 0) {
  const int values = kSide * kSide * (kClasses + 5 * kBoxes);
  HeadCase c{.shape = flat ? Shape{3, values, 1, 1} : Shape{3, values / (kSide * kSide), kSide, kSide}, .network = kNet, .x = {}, .truths = {}, .iteration = iteration};
  c.x.resize(c.shape.count());
  Rng rng(seed, RandomUse::test);
  for (float& v : c.x) v = static_cast<float>(rng.uniform(-.2, 1.2));
  c.truths = {testing::wild_truths(seed, kClasses, 9), {}, testing::wild_truths(seed + 100, kClasses, 40)};
  return c;
}

void compare(const std::string& keys, const HeadCase& c) {
  const auto layer = testing::settled(testing::parse_head<DetectionHead>(kHead + keys, "d.cfg", 5));
  const HeadStep host = testing::head_step_on_host(*layer, c), gpu = testing::head_step_on_gpu(*layer, c);
  EXPECT_GT(host.loss.assigned, 0);
  EXPECT_GT(host.loss.rewritten, 0);
  testing::expect_same_step(host, gpu, 1e-5, keys);
  EXPECT_EQ(gpu.padding, 0);
}

}  // namespace

TEST(detection_cuda, every_key_is_the_hosts) {
  uint64_t seed = 1;
  for (const char* classes : {"", "softmax=1\nclass_scale=.7\n"})
    for (const char* boxes : {"", "sqrt=1\ncoord_scale=5\n", "rescore=1\nobject_scale=2\nnoobject_scale=.5\n"})
      for (const char* choice : {"", "forced=1\n", "random=1\n"})
        for (const uint64_t iteration : {uint64_t{0}, uint64_t{50000}})   // nothing is drawn any more
          for (const bool flat : {true, false}) compare(concat(classes, boxes, choice), head_case(++seed, flat, iteration));
}

TEST(detection_cuda, outputs_that_are_no_numbers) {
  HeadCase c = head_case(7, true);
  for (size_t i = 5; i < c.x.size(); i += 37) c.x[i] = i % 3 ? NAN : 200;
  for (const char* keys : {"", "sqrt=1\nrescore=1\n"}) compare(keys, c);
}

TEST(detection_cuda, no_truths_at_all) {
  HeadCase c = head_case(3, true);
  c.truths = {};
  const auto layer = testing::settled(testing::parse_head<DetectionHead>(kHead + "softmax=1\n", "d.cfg", 5));
  testing::expect_same_step(testing::head_step_on_host(*layer, c), testing::head_step_on_gpu(*layer, c), 1e-5, "no truths");
}

}  // namespace dn
