// [Gaussian_yolo] on a GPU beside the host's kernel.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "layers/gaussian_yolo/gaussian_yolo.h"
#include "tests/harness/head_section.h"
#include "tests/harness/head_step.h"

namespace dn {
namespace {

using testing::HeadCase;
using testing::HeadStep;

constexpr Shape kNet{3, 3, 48, 64}, kShape{3, 39, 6, 8};
const std::string kHead = "[Gaussian_yolo]\nmask=1,2,4\nanchors=6,8, 14,10, 12,22, 26,20, 40,30, 50,44\nclasses=4\nnum=6\nmax=20\n";

HeadCase head_case(uint64_t seed) {
  HeadCase c{.shape = kShape, .network = kNet, .x = std::vector<float>(kShape.count()), .truths = {}};
  Rng rng(seed, RandomUse::test);
  for (float& v : c.x) v = static_cast<float>(rng.uniform(-2, 2));
  c.truths = {testing::wild_truths(seed, 4, 9), {}, testing::wild_truths(seed + 100, 4, 40)};
  return c;
}

void compare(const std::string& keys, const HeadCase& c) {
  const auto layer = testing::settled(testing::parse_head<GaussianYolo>(kHead + keys, "g.cfg", 5));
  const HeadStep host = testing::head_step_on_host(*layer, c), gpu = testing::head_step_on_gpu(*layer, c);
  EXPECT_GT(host.loss.assigned, 0);
  testing::expect_same_step(host, gpu, 2e-5, keys);
  EXPECT_EQ(gpu.padding, 0);
}

}  // namespace

TEST(gaussian_yolo_cuda, every_key_is_the_hosts) {
  uint64_t seed = 1;
  for (const char* kind : {"mse", "iou", "giou", "diou", "ciou"})
    for (const char* point : {"", "yolo_point=left_top\nscale_x_y=1.1\n", "yolo_point=right_bottom\n"})
      for (const char* exact : {"", "exact_gradient=1\nobjectness_smooth=1\n"})
        for (const char* thresh : {"", "iou_thresh=.2\nuc_normalizer=.5\nmax_delta=.5\n", "truth_thresh=.3\ncounters_per_class=30,10,15,2\n"})
          compare(concat("iou_loss=", kind, "\niou_normalizer=.6\n", point, exact, thresh), head_case(++seed));
}

TEST(gaussian_yolo_cuda, outputs_that_are_no_numbers) {
  for (const char* keys : {"", "iou_loss=ciou\n"}) {
    HeadCase c = head_case(7);
    for (size_t i = 5; i < c.x.size(); i += 37) c.x[i] = i % 3 ? NAN : 200;
    compare(keys, c);
  }
}

}  // namespace dn
