#include "train/resizer.h"

#include <gtest/gtest.h>

#include <set>

namespace dn {
namespace {

TEST(resizer, sizes_of_the_family) {
  const Resizer r({416, 416}, 32, 1, 4000, 1);
  EXPECT_EQ(r.largest(), (NetSize{608, 608}));
  EXPECT_EQ(r.smallest(), (NetSize{320, 320}));  // round(416 / 1.4 / 32 + 1) * 32
  EXPECT_EQ(r.at(0), r.largest());
  EXPECT_EQ(r.at(9), r.largest());
  EXPECT_EQ(r.at(3900), r.largest());
  EXPECT_EQ(r.at(3999), r.largest());
}

TEST(resizer, draws_every_ten_iterations_within_the_range) {
  const Resizer r({608, 416}, 32, 1, 4000, 7);
  std::set<int> widths;
  for (int64_t i = 10; i < 3900; ++i) {
    const NetSize size = r.at(i);
    EXPECT_EQ(size, r.at(i / 10 * 10));
    EXPECT_EQ(size.width % 32, 0);
    EXPECT_GE(size.width, r.smallest().width);
    EXPECT_LE(size.width, r.largest().width);
    EXPECT_GE(size.height, r.smallest().height);
    EXPECT_LE(size.height, r.largest().height);
    widths.insert(size.width);
  }
  EXPECT_GT(widths.size(), 8u);
}

TEST(resizer, small_networks_keep_one_step) {
  const Resizer r({32, 32}, 32, 3, 1000, 7);
  for (int64_t i = 0; i < 1000; i += 10) EXPECT_GE(r.at(i).width, 32);
  EXPECT_EQ(r.smallest().width, 32);
}

TEST(resizer, off_means_the_cfg_size) {
  const Resizer r({416, 352}, 32, 0, 4000, 1);
  EXPECT_FALSE(r.active());
  EXPECT_EQ(r.at(0), (NetSize{416, 352}));
  EXPECT_EQ(r.at(500), (NetSize{416, 352}));
}

}  // namespace
}  // namespace dn
