// [Gaussian_yolo] on a GPU beside the host's kernel.
#include <gtest/gtest.h>

#include "layers/gaussian_yolo/gaussian_yolo.h"
#include "tests/harness/head_section.h"
#include "tests/harness/head_step.h"

namespace dn {
namespace {

using testing::HeadCase;

constexpr Shape kNet{3, 3, 48, 64}, kShape{3, 39, 6, 8};
const std::string kHead = "[Gaussian_yolo]\nmask=1,2,4\nanchors=6,8, 14,10, 12,22, 26,20, 40,30, 50,44\nclasses=4\nnum=6\nmax=20\n";

HeadCase head_case(uint64_t seed) { return testing::three_images(kShape, kNet, seed, -2, 2); }

void compare(const std::string& keys, const HeadCase& c) {
  testing::expect_gpu_as_host(*testing::settled(testing::parse_head<GaussianYolo>(kHead + keys, "g.cfg", 5)), c, 2e-5, keys);
}

}  // namespace

TEST(gaussian_yolo_cuda, every_key_is_the_hosts) {
  testing::for_all_choices({{"iou_loss=mse\n", "iou_loss=iou\n", "iou_loss=giou\n", "iou_loss=diou\n", "iou_loss=ciou\n"},
                            {"", "yolo_point=left_top\nscale_x_y=1.1\n", "yolo_point=right_bottom\n"},
                            {"", "exact_gradient=1\nobjectness_smooth=1\n"},
                            {"", "iou_thresh=.2\nuc_normalizer=.5\nmax_delta=.5\n", "truth_thresh=.3\ncounters_per_class=30,10,15,2\n"}},
                           [](const std::string& keys, uint64_t number) { compare("iou_normalizer=.6\n" + keys, head_case(1 + number)); });
}

TEST(gaussian_yolo_cuda, outputs_that_are_no_numbers) {
  for (const char* keys : {"", "iou_loss=ciou\n"}) compare(keys, testing::with_broken_outputs(head_case(7)));
}

}  // namespace dn
