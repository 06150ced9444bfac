// [region] on a GPU beside the host's kernel.
#include <gtest/gtest.h>

#include "data/test_folder.h"
#include "layers/region/region.h"
#include "tests/harness/head_section.h"
#include "tests/harness/head_step.h"

namespace dn {
namespace {

using testing::HeadCase;

constexpr Shape kNet{3, 3, 48, 64}, kShape{3, 27, 6, 8};
const std::string kHead = "[region]\nanchors=0.9,1.2, 2.0,1.6, 4.1,3.3\nclasses=4\ncoords=4\nnum=3\nmax=20\n";
constexpr uint64_t kLater = 5000;  // iterations after which boxes are no longer drawn to their anchors

HeadCase head_case(uint64_t seed, uint64_t iteration) {
  HeadCase c = testing::three_images(kShape, kNet, seed, -1.5, 1.5);
  c.iteration = iteration;
  return c;
}

void compare(const std::string& keys, const HeadCase& c) {
  const auto layer = testing::settled(testing::parse_head<Region>(kHead + keys, "r.cfg", 5));
  EXPECT_GT(testing::expect_gpu_as_host(*layer, c, 1e-5, keys).loss.rewritten, 0) << keys;
}

}  // namespace

TEST(region_cuda, every_key_is_the_hosts) {
  const test::TestFolder folder("region_cuda");
  write_file(folder / "animals.tree", "animal -1\nthing -1\ncat 0\ndog 0\n");
  const std::string tree = concat("tree=", (folder / "animals.tree").string(), "\n");
  uint64_t seed = 1;
  for (const std::string& classes : {std::string(), std::string("softmax=1\n"), std::string("softmax=1\nfocal_loss=1\nclass_scale=.7\n"), tree})
    for (const char* boxes : {"", "bias_match=1\ncoord_scale=.8\n", "bias_match=1\nrescore=1\nobject_scale=5\nnoobject_scale=.5\n"})
      for (const char* fix : {"", "thresh=.2\n", "classfix=-1\n", "classfix=1\nthresh=.2\n", "classfix=2\nthresh=.1\n"})
        for (const uint64_t iteration : {uint64_t{0}, kLater}) compare(concat(classes, boxes, fix), head_case(++seed, iteration));
}

TEST(region_cuda, outputs_that_are_no_numbers) {
  const HeadCase c = testing::with_broken_outputs(head_case(7, kLater));
  for (const char* keys : {"", "softmax=1\nbias_match=1\n"}) compare(keys, c);
}

TEST(region_cuda, no_truths_at_all) {
  HeadCase c = head_case(3, 0);
  c.truths = {};
  const auto layer = testing::settled(testing::parse_head<Region>(kHead + "softmax=1\n", "r.cfg", 5));
  testing::expect_same_step(testing::head_step_on_host(*layer, c), testing::head_step_on_gpu(*layer, c), 1e-5, "no truths");
}

}  // namespace dn
