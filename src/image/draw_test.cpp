#include "image/draw.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"

namespace dn {
namespace {

Image plain(int width, int height, uint8_t value = 90, int channels = 3) {
  Image image{width, height, channels, {}};
  image.pixels.assign(image.row() * static_cast<size_t>(height), value);
  return image;
}

size_t changed(const Image& image, uint8_t value = 90) {
  size_t count = 0;
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    count += image.pixels[i] != value || image.pixels[i + 1] != value || image.pixels[i + 2] != value;
  return count;
}

bool pixel_changed(const Image& image, int x, int y, uint8_t value = 90) {
  const uint8_t* p = &image.pixels[static_cast<size_t>(y) * image.row() + static_cast<size_t>(x) * 3];
  return p[0] != value || p[1] != value || p[2] != value;
}

TEST(Draw, BoxesAreFramesOfTheClassColour) {
  Image image = plain(400, 300);
  const std::vector<DrawItem> items{{{0.5f, 0.5f, 0.5f, 0.5f}, "", -1, 3}};
  draw_detections(image, items);
  EXPECT_TRUE(pixel_changed(image, 100, 150));
  EXPECT_TRUE(pixel_changed(image, 299, 150));
  EXPECT_TRUE(pixel_changed(image, 200, 75));
  EXPECT_FALSE(pixel_changed(image, 200, 150));
  EXPECT_FALSE(pixel_changed(image, 50, 150));
  const uint8_t* p = &image.pixels[150 * image.row() + 100 * 3];
  EXPECT_GT(p[2], p[0] + 60) << "colour 3 is blue";
}

TEST(Draw, LabelsAppearAboveAndStayInside) {
  Image with = plain(400, 300), without = plain(400, 300);
  const Box box{0.5f, 0.5f, 0.3f, 0.3f};
  draw_detections(with, std::vector<DrawItem>{{box, "person", 0.87f, 1}});
  draw_detections(without, std::vector<DrawItem>{{box, "", -1, 1}});
  EXPECT_GT(changed(with), changed(without) + 500);
  EXPECT_TRUE(pixel_changed(with, 150, 98));
  Image top = plain(400, 300);  // no room above, left or right: the label goes elsewhere, but is there
  draw_detections(top, std::vector<DrawItem>{{{0.5f, 0.5f, 1.0f, 1.0f}, "person", 0.87f, 1}});
  EXPECT_GT(changed(top), 4u * 700);
}

TEST(Draw, EdgeCasesDoNotHarm) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const std::vector<DrawItem> items{{{0.5f, 0.5f, 1e9f, 1e9f}, "huge", 0.5f, 0},
                                    {{9, 9, 0.1f, 0.1f}, "outside", 0.5f, 1},
                                    {{nan, 0.5f, 0.1f, 0.1f}, "nan", 0.5f, 2},
                                    {{0.5f, 0.5f, inf, 0.1f}, "inf", 0.5f, 3},
                                    {{0.5f, 0.5f, -1, 0.1f}, "negative", 0.5f, 4},
                                    {{0.5f, 0.5f, 0, 0}, "empty", 0.5f, 5},
                                    {{0.5f, 0.5f, 0.4f, 0.4f}, std::string(100000, 'w'), nan, 6},
                                    {{0.5f, 0.5f, 0.2f, 0.2f}, "\xff\xfe latin \xe4 \xf0\x9f\x98", 2.0f, 123456},
                                    {{0.2f, 0.2f, 0.2f, 0.2f}, "Stra\u00dfe \u6c7d\u8f66\n\t", 0.1f, -7},
                                    {{0.5f, 0.5f, 0.1f, 0.1f}, "", 0.3f, std::numeric_limits<int>::min()}};
  for (const auto& [w, h] : {std::pair{1, 1}, {1, 500}, {500, 1}, {13, 9}, {64, 48}, {640, 480}}) {
    Image image = plain(w, h);
    draw_detections(image, items);
    EXPECT_EQ(image.width, w);
    EXPECT_EQ(image.height, h);
    EXPECT_EQ(image.pixels.size(), static_cast<size_t>(w) * static_cast<size_t>(h) * 3);
    EXPECT_GT(changed(image), 0u);
  }
  Image untouched = plain(64, 48);
  draw_detections(untouched, {});
  EXPECT_EQ(changed(untouched), 0u);
  Image grey = plain(64, 48, 90, 1);
  draw_detections(grey, std::vector<DrawItem>{{{0.5f, 0.5f, 0.5f, 0.5f}, "", -1, 0}});
  EXPECT_EQ(grey.channels, 3);
  EXPECT_GT(changed(grey), 0u);
}

TEST(Draw, LabelsOfNeighboursDoNotHideEachOther) {
  // Three boxes at one place, each with its own colour: three label areas of full size must remain, so the coloured area grows by each.
  const auto area = [](int count) {
    Image image = plain(400, 300);
    std::vector<DrawItem> items;
    for (int i = 0; i < count; ++i) items.push_back({{0.5f, 0.5f, 0.2f, 0.2f}, "bicycle", 0.9f - 0.1f * static_cast<float>(i), i});
    draw_detections(image, items);
    return changed(image);
  };
  const TextSize text = measure_text("bicycle 90%", 9, true);
  const double label = text.width * (text.ascent + text.descent) * 0.8;
  const double one = static_cast<double>(area(1)), two = static_cast<double>(area(2)), three = static_cast<double>(area(3));
  EXPECT_GT(two, one + label);
  EXPECT_GT(three, two + label);
}

TEST(Draw, ColoursDiffer) {
  std::set<std::tuple<int, int, int>> seen;
  for (int i = 0; i < 100; ++i) {
    const Color c = class_color(i);
    seen.insert({std::lround(c.r * 40), std::lround(c.g * 40), std::lround(c.b * 40)});
  }
  EXPECT_GE(seen.size(), 98u);
}

TEST(Draw, ContactSheetPlacesImagesInRows) {
  const std::vector<Image> images{plain(40, 30, 200), plain(40, 30, 50), plain(20, 30, 220)};
  const Image sheet = make_contact_sheet(images, 2);
  EXPECT_EQ(sheet.width, 2 * 40 + 3 * 2);
  EXPECT_EQ(sheet.height, 2 * 30 + 3 * 2);
  const auto at = [&](int x, int y) { return sheet.pixels[static_cast<size_t>(y) * sheet.row() + static_cast<size_t>(x) * 3]; };
  EXPECT_NEAR(at(20, 15), 200, 2);
  EXPECT_NEAR(at(64, 15), 50, 2);
  EXPECT_NEAR(at(22, 49), 220, 2);  // narrower: centred in its cell
  EXPECT_LT(at(5, 49), 60);
  EXPECT_LT(at(64, 49), 60);  // an empty cell
  EXPECT_THROW(make_contact_sheet({}, 2), Error);
  EXPECT_THROW(make_contact_sheet(images, 0), Error);
  EXPECT_EQ(make_contact_sheet(images, 1000).height, 30 + 2 * 2);
  EXPECT_LE(make_contact_sheet(std::vector<Image>(3, plain(3000, 20)), 3).width, 4096 + 4 * 12);
}

TEST(Draw, SurfaceRefusesWrongSizes) {
  EXPECT_THROW(Canvas(0, 5), Error);
  EXPECT_THROW(Canvas(5, kMaxImageSide + 1), Error);
}

}  // namespace
}  // namespace dn
