// [detection] on a GPU beside the host's kernel.
#include <gtest/gtest.h>

#include "layers/detection/detection.h"
#include "tests/harness/head_section.h"
#include "tests/harness/head_step.h"

namespace dn {
namespace {

using testing::HeadCase;

constexpr int kClasses = 4, kBoxes = 3, kSide = 5;
constexpr Shape kNet{3, 3, 64, 64};
const std::string kHead = "[detection]\nclasses=4\ncoords=4\nside=5\nnum=3\nmax=20\n";

// flat: as a [connected] makes it; else as a map, whose [C,H,W] order is the same.
HeadCase head_case(uint64_t seed, bool flat, uint64_t iteration = 0) {
  const int values = kSide * kSide * (kClasses + 5 * kBoxes);
  const Shape shape = flat ? Shape{3, values, 1, 1} : Shape{3, values / (kSide * kSide), kSide, kSide};
  HeadCase c = testing::three_images(shape, kNet, seed, -.2, 1.2);
  c.iteration = iteration;
  return c;
}

void compare(const std::string& keys, const HeadCase& c) {
  const auto layer = testing::settled(testing::parse_head<DetectionHead>(kHead + keys, "d.cfg", 5));
  EXPECT_GT(testing::expect_gpu_as_host(*layer, c, 1e-5, keys).loss.rewritten, 0) << keys;
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
  const HeadCase c = testing::with_broken_outputs(head_case(7, true));
  for (const char* keys : {"", "sqrt=1\nrescore=1\n"}) compare(keys, c);
}

TEST(detection_cuda, no_truths_at_all) {
  HeadCase c = head_case(3, true);
  c.truths = {};
  const auto layer = testing::settled(testing::parse_head<DetectionHead>(kHead + "softmax=1\n", "d.cfg", 5));
  testing::expect_same_step(testing::head_step_on_host(*layer, c), testing::head_step_on_gpu(*layer, c), 1e-5, "no truths");
}

}  // namespace dn
