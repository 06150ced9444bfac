#include "train/anchor_chart.h"

#include <gtest/gtest.h>

namespace dn {

TEST(anchor_chart, boxes_and_anchors_are_where_they_belong) {
  AnchorOptions options;
  options.clusters = 2;
  options.width = options.height = 400;
  const std::vector<TruthBox> labels{{{.5f, .5f, .25f, .25f}, 0}, {{.5f, .5f, .75f, .5f}, 0}, {{.5f, .5f, .8f, .5f}, 0}};
  const AnchorResult result = find_anchors(labels, options);
  const Image image = anchor_chart(labels, result, options);
  const auto pixel = [&](double w, double h) {  // where a box of this part of the network's input is drawn
    const size_t x = static_cast<size_t>(70 + 800 * w), y = static_cast<size_t>(700 - 640 * h);
    return &image.pixels[y * image.row() + x * 3];
  };
  const auto is_coloured = [](const uint8_t* p) { return std::max({p[0], p[1], p[2]}) - std::min({p[0], p[1], p[2]}) > 40; };
  EXPECT_TRUE(is_coloured(pixel(.25, .25)));  // an anchor of one box
  EXPECT_TRUE(is_coloured(pixel(.775, .5)));  // the mean of the other two
  EXPECT_FALSE(is_coloured(pixel(.9, .9)));
  EXPECT_NE(std::vector<uint8_t>(pixel(.25, .25), pixel(.25, .25) + 3), std::vector<uint8_t>(pixel(.775, .5), pixel(.775, .5) + 3));
}

}  // namespace dn
