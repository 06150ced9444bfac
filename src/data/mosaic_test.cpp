// Tiles by hand: where they lie, what of their picture they show, what becomes of boxes.
#include "data/mosaic.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace dn {
namespace {

TEST(data, MosaicCutsLieInTheMiddle) {
  int least = 1000, most = 0;
  double sum = 0;
  for (uint64_t i = 0; i < 4000; ++i) {
    Rng rng(1, RandomUse::test, i);
    const MosaicCut cut = draw_mosaic_cut(100, 50, rng);
    least = std::min(least, cut.x), most = std::max(most, cut.x);
    sum += cut.x;
    ASSERT_TRUE(cut.y >= 10 && cut.y <= 40);
  }
  EXPECT_EQ(least, 20);
  EXPECT_EQ(most, 80);
  EXPECT_NEAR(sum / 4000, 50, 1);
  Rng rng(1, RandomUse::test);
  EXPECT_EQ(draw_mosaic_cut(1, 1, rng).x, 0);
}

TEST(data, MosaicTilesShowTheSidesAtTheCut) {
  const MosaicCut cut{60, 30};
  const Window whole{0, 0, 200, 100};
  const auto expect = [](const MosaicTile& t, MosaicTile e) {
    EXPECT_TRUE(t.x == e.x && t.y == e.y && t.width == e.width && t.height == e.height && t.from_x == e.from_x && t.from_y == e.from_y)
        << t.x << " " << t.y << " " << t.width << " " << t.height << " " << t.from_x << " " << t.from_y;
  };
  expect(mosaic_tile(0, cut, whole, false, 200, 100, 100, 100), {0, 0, 60, 30, 40, 70});
  expect(mosaic_tile(1, cut, whole, false, 200, 100, 100, 100), {60, 0, 40, 30, 0, 70});
  expect(mosaic_tile(2, cut, whole, false, 200, 100, 100, 100), {0, 30, 60, 70, 40, 0});
  expect(mosaic_tile(3, cut, whole, false, 200, 100, 100, 100), {60, 30, 40, 70, 0, 0});
  // 20 of 200 pixels of padding at the picture's right, 10 of 100 below it: left and top tiles leave them out.
  const Window beyond{0, 0, 220, 110};
  expect(mosaic_tile(0, cut, beyond, false, 200, 100, 100, 100), {0, 0, 60, 30, 30, 60});
  expect(mosaic_tile(3, cut, beyond, false, 200, 100, 100, 100), {60, 30, 40, 70, 0, 0});
  // Mirrored, that padding is at the left.
  expect(mosaic_tile(0, cut, beyond, true, 200, 100, 100, 100), {0, 0, 60, 30, 40, 60});
  expect(mosaic_tile(1, cut, beyond, true, 200, 100, 100, 100), {60, 0, 40, 30, 10, 60});
  // Never moved out of the picture.
  expect(mosaic_tile(0, cut, {0, 0, 2000, 1000}, false, 200, 100, 100, 100), {0, 0, 60, 30, 0, 0});
  expect(mosaic_tile(3, cut, {-1800, -900, 2000, 1000}, false, 200, 100, 100, 100), {60, 30, 40, 70, 60, 30});
}

TEST(data, MosaicPicturesMoveToTheirCorner) {
  const Window window{10, -4, 50, 70};
  EXPECT_EQ(moved_to_corner(window, 0, false, 100, 60), (Window{0, 0, 50, 70}));
  EXPECT_EQ(moved_to_corner(window, 1, false, 100, 60), (Window{50, 0, 50, 70}));
  EXPECT_EQ(moved_to_corner(window, 2, false, 100, 60), (Window{0, -10, 50, 70}));
  EXPECT_EQ(moved_to_corner(window, 3, false, 100, 60), (Window{50, -10, 50, 70}));
  EXPECT_EQ(moved_to_corner(window, 0, true, 100, 60), (Window{50, 0, 50, 70}));  // mirrored, its left comes to lie at the right
}

TEST(data, MosaicBoxesMoveAndAreCut) {
  const MosaicTile tile{0, 0, 60, 30, 30, 60};  // columns 30..90 and rows 60..90 of the picture
  const auto boxes = [&](const Box& box, bool bound) { return mosaic_boxes({{box, 3, 9}}, tile, bound, 100, 100); };
  auto out = boxes({.5f, .75f, .2f, .1f}, true);  // columns 40..60, rows 70..80
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].class_id, 3);
  EXPECT_EQ(out[0].track_id, 9u);
  EXPECT_NEAR(out[0].box.x, .2, 1e-6);
  EXPECT_NEAR(out[0].box.y, .15, 1e-6);
  EXPECT_NEAR(out[0].box.w, .2, 1e-6);
  EXPECT_NEAR(out[0].box.h, .1, 1e-6);
  // Columns 80..100: ten of them are cut off by the next tile.
  EXPECT_NEAR(boxes({.9f, .75f, .2f, .1f}, true).at(0).box.w, .1, 1e-6);
  EXPECT_NEAR(boxes({.9f, .75f, .2f, .1f}, false).at(0).box.w, .2, 1e-6);
  // Columns 10..40: beyond the sample's edge, cut in both.
  EXPECT_NEAR(boxes({.25f, .75f, .3f, .1f}, false).at(0).box.w, .1, 1e-6);
  EXPECT_NEAR(boxes({.25f, .75f, .3f, .1f}, true).at(0).box.x, .05, 1e-6);
  for (const bool bound : {false, true}) {
    EXPECT_TRUE(boxes({.95f, .75f, .1f, .1f}, bound).empty());   // hidden by the next tile
    EXPECT_TRUE(boxes({.1f, .75f, .1f, .1f}, bound).empty());    // outside the sample
    EXPECT_TRUE(boxes({.942f, .75f, .1f, .1f}, bound).empty());  // less than a pixel shows
    EXPECT_EQ(boxes({.93f, .75f, .1f, .1f}, bound).size(), 1u);  // two do
  }
}

}  // namespace
}  // namespace dn
