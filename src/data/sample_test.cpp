// What a sample is whatever is done to it: boxes lie where their objects' pixels are, values are within 0..1, and it depends on its number only.
// Objects are rectangles of one colour each on black. A mixture of two such colours, or of one with black or gray, is none of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/loader.h"
#include "data/test_folder.h"

namespace dn {
namespace {

using test::TestFolder;

constexpr int kWidth = 176, kHeight = 144;  // of the samples
constexpr int kColours = 12, kImages = 4, kObjects = 3;

std::array<uint8_t, 3> colour_of(int id) {
  const int red = 15 + 45 * (id % 6);
  return {static_cast<uint8_t>(red), static_cast<uint8_t>(255 - red), static_cast<uint8_t>(id < 6 ? 30 : 230)};
}

// Pictures of different shapes with kObjects objects side by side, each of a class of its own.
fs::path coloured_set(const TestFolder& folder) {
  std::string list;
  for (int i = 0; i < kImages; ++i) {
    const int width = i % 2 == 0 ? 240 : 150, height = i % 2 == 0 ? 130 : 210;
    Image image = test::plain_image(width, height, {0, 0, 0});
    Rng rng(6, RandomUse::test, static_cast<uint64_t>(i));
    std::string rows;
    for (int k = 0; k < kObjects; ++k) {
      const int from = k * width / kObjects + 4, to = (k + 1) * width / kObjects - 4, room = to - from;
      const int left = from + static_cast<int>(rng.below(static_cast<uint32_t>(room / 3))),
                right = to - static_cast<int>(rng.below(static_cast<uint32_t>(room / 3)));
      const int top = static_cast<int>(rng.below(40)), bottom = height - static_cast<int>(rng.below(40));
      test::fill_rectangle(image, left, top, right, bottom, colour_of(i * kObjects + k));
      rows += concat(i * kObjects + k, " ", (left + right) / 2.0 / width, " ", (top + bottom) / 2.0 / height, " ", (right - left) / double(width),
                     " ", (bottom - top) / double(height), "\n");
    }
    test::write_quickly(folder / concat(i, ".ppm"), image);
    test::write_quickly(folder / concat(i, ".txt"), rows);
    list += concat(i, ".ppm\n");
  }
  write_file(folder / "list.txt", list);
  return folder / "list.txt";
}

SampleOptions sample_options(const Augmentation& how, int batch = 8) {
  SampleOptions options;
  options.seed = 11;
  options.batch = batch;
  options.classes = kColours;
  options.augmentation = how;
  return options;
}

struct Sample {
  std::vector<float> pixels = std::vector<float>(3 * kWidth * kHeight, NAN);
  std::vector<TruthBox> truth;
  bool operator==(const Sample& o) const { return pixels == o.pixels && truth == o.truth; }
};
Sample make_sample(SampleMaker& maker, uint64_t iteration, int index) {
  Sample sample;
  maker.make(iteration, index, kWidth, kHeight, sample.pixels.data(), sample.truth);
  return sample;
}

// Which object's colour a pixel has, -1: none's.
std::vector<int> objects_of(const std::vector<float>& pixels) {
  constexpr size_t kArea = size_t{kWidth} * kHeight;
  constexpr float kTolerance = 5.0f / 255;
  std::vector<int> ids(kArea, -1);
  for (size_t i = 0; i < kArea; ++i)
    for (int id = 0; id < kColours; ++id) {
      const auto colour = colour_of(id);
      bool same = true;
      for (size_t c = 0; c < 3; ++c) same &= std::abs(pixels[c * kArea + i] - static_cast<float>(colour[c]) / 255) < kTolerance;
      if (same) ids[i] = id;
    }
  return ids;
}

struct Edges {
  double left, top, right, bottom;
};
Edges edges(const Box& b) {
  return {static_cast<double>(b.x - b.w / 2) * kWidth, static_cast<double>(b.y - b.h / 2) * kHeight, static_cast<double>(b.x + b.w / 2) * kWidth,
          static_cast<double>(b.y + b.h / 2) * kHeight};
}

// Each box is full of its object's colour up to `margin` pixels inside its edges; returns how many pixels that were.
int expect_boxes_are_full(const Sample& sample, const std::vector<int>& ids, double margin, const std::string& what) {
  int seen = 0;
  for (const TruthBox& truth : sample.truth) {
    const Edges e = edges(truth.box);
    for (int y = 0; y < kHeight; ++y)
      for (int x = 0; x < kWidth; ++x) {
        if (x < e.left + margin || x + 1 > e.right - margin || y < e.top + margin || y + 1 > e.bottom - margin) continue;
        ++seen;
        if (ids[static_cast<size_t>(y * kWidth + x)] == truth.class_id) continue;
        ADD_FAILURE() << what << ": object " << truth.class_id << " is not at " << x << ", " << y << " of its box " << e.left << " " << e.top << " "
                      << e.right << " " << e.bottom;
        return seen;
      }
  }
  return seen;
}

// Each pixel of an object's colour lies in a box of that object or is part of a sliver, too thin for a box.
void expect_objects_have_boxes(const Sample& sample, const std::vector<int>& ids, const std::string& what) {
  constexpr double kMargin = 1.6;  // align-corners stretches by up to a pixel, and the colour is met between pixels
  const auto at = [&](int x, int y) { return x < 0 || y < 0 || x >= kWidth || y >= kHeight ? -1 : ids[static_cast<size_t>(y * kWidth + x)]; };
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) {
      const int id = at(x, y);
      if (id < 0) continue;
      const bool boxed = std::ranges::any_of(sample.truth, [&](const TruthBox& truth) {
        const Edges e = edges(truth.box);
        return truth.class_id == id && x + 1 > e.left - kMargin && x < e.right + kMargin && y + 1 > e.top - kMargin && y < e.bottom + kMargin;
      });
      if (boxed) continue;
      const bool wide = at(x - 1, y) == id && at(x + 1, y) == id, high = at(x, y - 1) == id && at(x, y + 1) == id;
      if (!(wide && high)) continue;
      ADD_FAILURE() << what << ": a pixel of object " << id << " at " << x << ", " << y << " is in no box of it";
      return;
    }
}

void expect_sound(const Sample& sample, int most, const std::string& what) {
  for (const float v : sample.pixels) ASSERT_TRUE(v >= 0 && v <= 1) << what;
  ASSERT_LE(sample.truth.size(), static_cast<size_t>(most)) << what;
  for (const TruthBox& t : sample.truth) {
    const Edges e = edges(t.box);
    constexpr double kRounding = 1e-3;  // of floats, in pixels
    ASSERT_TRUE(e.left >= -kRounding && e.top >= -kRounding && e.right <= kWidth + kRounding && e.bottom <= kHeight + kRounding) << what;
    ASSERT_TRUE(e.right - e.left >= 1 - kRounding && e.bottom - e.top >= 1 - kRounding) << what;
    ASSERT_TRUE(t.box.x > 0 && t.box.x < 1 && t.box.y > 0 && t.box.y < 1) << what;
    ASSERT_NE(t.track_id, 0u);
  }
}

struct Case {
  std::string name;
  Augmentation how;
  double margin = 2;  // pixels inside a box's edges that need not have its colour
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const bool letter_box : {false, true})
    for (const bool zoom : {false, true}) {
      const std::string name = concat(letter_box ? "letter_box " : "", zoom ? "resize " : "");
      const Augmentation how{.jitter = .3, .resize = zoom ? 1.6 : 1.0, .letter_box = letter_box};
      all.push_back({name + "plain", how});
      Augmentation other = how;
      other.mix = Mix::mosaic;
      other.mosaic_bound = true;
      all.push_back({name + "mosaic", other});
      other.flip = false;
      other.blur = 1;
      all.push_back({name + "mosaic, background blurred", other});
      other = how;
      other.blur = 9;
      all.push_back({name + "blur", other, 7});
    }
  return all;
}

TEST(data, BoxesStayWithTheirPixels) {
  const TestFolder folder("pixels");
  const Dataset dataset(coloured_set(folder));
  for (const Case& c : cases()) {
    SampleMaker maker(dataset, sample_options(c.how));
    int64_t seen = 0, boxes = 0;
    for (uint64_t iteration = 0; iteration < 6; ++iteration)
      for (int k = 0; k < 8; ++k) {
        const std::string what = concat(c.name, ", iteration ", iteration, ", sample ", k);
        const Sample sample = make_sample(maker, iteration, k);
        const std::vector<int> ids = objects_of(sample.pixels);
        expect_sound(sample, 200, what);
        seen += expect_boxes_are_full(sample, ids, c.margin, what);
        if (c.how.blur <= 1) expect_objects_have_boxes(sample, ids, what);
        boxes += static_cast<int64_t>(sample.truth.size());
      }
    EXPECT_GT(boxes, 100) << c.name;
    EXPECT_GT(seen, 100000) << c.name;
  }
}

// Half of the samples are mosaics, each decided for itself; the others are what they are without the key.
TEST(data, EverySecondSampleIsAMosaic) {
  const TestFolder folder("half");
  const Dataset dataset(coloured_set(folder));
  Augmentation how{.jitter = .2};
  SampleMaker plain(dataset, sample_options(how, 4));
  how.mix = Mix::mosaic;
  SampleMaker mosaic(dataset, sample_options(how, 4));
  int mosaics = 0, mixed_batches = 0;
  for (uint64_t iteration = 0; iteration < 60; ++iteration) {
    int here = 0;
    for (int k = 0; k < 4; ++k) here += make_sample(plain, iteration, k) == make_sample(mosaic, iteration, k) ? 0 : 1;
    mosaics += here;
    mixed_batches += here > 0 && here < 4;
  }
  EXPECT_NEAR(mosaics, 120, 30);       // four standard deviations
  EXPECT_NEAR(mixed_batches, 52, 10);  // 7 of 8: no batch-wide decision
}

// Without mosaic_bound the same boxes are there, whole where they were cut at their tile.
TEST(data, UnboundBoxesContainTheBoundOnes) {
  const TestFolder folder("bound");
  const Dataset dataset(coloured_set(folder));
  Augmentation how{.jitter = .3, .resize = 1.6, .mix = Mix::mosaic, .mosaic_bound = true};
  SampleMaker bound(dataset, sample_options(how));
  how.mosaic_bound = false;
  SampleMaker unbound(dataset, sample_options(how));
  int larger = 0;
  for (uint64_t iteration = 0; iteration < 10; ++iteration)
    for (int k = 0; k < 8; ++k) {
      const Sample a = make_sample(bound, iteration, k), b = make_sample(unbound, iteration, k);
      expect_sound(b, 200, "unbound");
      ASSERT_EQ(a.pixels, b.pixels);
      ASSERT_EQ(a.truth.size(), b.truth.size());
      for (size_t i = 0; i < a.truth.size(); ++i) {
        ASSERT_EQ(a.truth[i].track_id, b.truth[i].track_id);
        const Edges x = edges(a.truth[i].box), y = edges(b.truth[i].box);
        ASSERT_TRUE(y.left <= x.left + 1e-3 && y.top <= x.top + 1e-3 && y.right >= x.right - 1e-3 && y.bottom >= x.bottom - 1e-3);
        larger += y.right - y.left > x.right - x.left + 1 || y.bottom - y.top > x.bottom - x.top + 1;
      }
    }
  EXPECT_GT(larger, 5);
}

// The mean of two pictures: taking away the first, known from a run without mixup, leaves another sound one.
TEST(data, MixupIsTheMeanOfTwoPictures) {
  const TestFolder folder("mixup");
  const Dataset dataset(coloured_set(folder));
  Augmentation how{.jitter = .3, .letter_box = true};
  SampleMaker plain(dataset, sample_options(how));
  how.mix = Mix::mixup;
  SampleMaker maker(dataset, sample_options(how));
  int mixed = 0;
  for (uint64_t iteration = 0; iteration < 6; ++iteration)
    for (int k = 0; k < 8; ++k) {
      const Sample first = make_sample(plain, iteration, k);
      Sample both = make_sample(maker, iteration, k);
      expect_sound(both, 200, "mixup");
      if (both == first) continue;
      ++mixed;
      for (const TruthBox& own : first.truth) {
        const auto found = std::find(both.truth.begin(), both.truth.end(), own);
        ASSERT_NE(found, both.truth.end());
        both.truth.erase(found);
      }
      for (size_t i = 0; i < both.pixels.size(); ++i) both.pixels[i] = 2 * both.pixels[i] - first.pixels[i];
      const std::vector<int> ids = objects_of(both.pixels);
      expect_boxes_are_full(both, ids, 2, "second picture of a mixup");
      expect_objects_have_boxes(both, ids, "second picture of a mixup");
    }
  EXPECT_NEAR(mixed, 24, 14);
}

TEST(data, BoxesAreLimitedOverAllPictures) {
  const TestFolder folder("limit");
  const Dataset dataset(coloured_set(folder));
  for (const Mix mix : {Mix::none, Mix::mixup, Mix::mosaic}) {
    SampleMaker maker(dataset, sample_options({.mix = mix}));
    Augmentation how{.max_truths = 2, .mix = mix};
    SampleMaker limited(dataset, sample_options(how));
    int full = 0;
    for (uint64_t iteration = 0; iteration < 8; ++iteration)
      for (int k = 0; k < 8; ++k) {
        const Sample all = make_sample(maker, iteration, k), some = make_sample(limited, iteration, k);
        ASSERT_EQ(some.truth.size(), std::min<size_t>(2, all.truth.size()));
        for (const TruthBox& t : some.truth) ASSERT_NE(std::find(all.truth.begin(), all.truth.end(), t), all.truth.end());
        full += some.truth.size() == 2;
      }
    EXPECT_GT(full, 32);
  }
}

TEST(data, NoiseChangesPixelsUpAndDown) {
  const TestFolder folder("noise");
  write_file(folder / "a.txt", "0 .5 .5 .4 .4\n");
  save_image(folder / "a.png", test::plain_image(100, 80, {100, 120, 140}));
  write_file(folder / "list.txt", "a.png\n");
  const Dataset dataset(folder / "list.txt");
  SampleMaker maker(dataset, sample_options({.noise = 10}));
  int noisy = 0;
  for (int k = 0; k < 8; ++k) {
    const Sample sample = make_sample(maker, 0, k);
    double sum = 0, square = 0;
    constexpr double kCount = kWidth * kHeight;
    for (size_t i = 0; i < static_cast<size_t>(kCount); ++i) {
      const double d = static_cast<double>(sample.pixels[i]) * 255 - 100;
      sum += d, square += d * d;
    }
    EXPECT_NEAR(sum / kCount, 0, .3);
    if (square < 1) continue;
    ++noisy;
    EXPECT_NEAR(std::sqrt(square / kCount), 10, .3);
  }
  EXPECT_TRUE(noisy > 0 && noisy < 8) << noisy;
}

TEST(data, BadLabelsStayOutOfEveryMixture) {
  const TestFolder folder("badlabels");
  for (const char* name : {"a", "b"}) {
    save_image(folder / concat(name, ".png"), test::plain_image(90, 70, {10, 20, 30}));
    write_file(folder / concat(name, ".txt"),
               "12 .5 .5 .2 .2\n-1 .5 .5 .2 .2\n1.5 .5 .5 .2 .2\n3 nan .5 .2 .2\n3 .5 .5 inf .2\n3 0 0 .2 .2\n3 .5 .5 0 .2\n3 .5 .5 .2 -1\n"
               "3 .5 .5 .2\n3 .5 .5 .2 .2 .9\n3 1.5 .5 .2 .2\n3 .5 -.5 .2 .2\n7 .5 .5 .9 .9\nx .5 .5 .2 .2\n");
  }
  write_file(folder / "list.txt", "a.png\nb.png\n");
  const Dataset dataset(folder / "list.txt");
  for (const Mix mix : {Mix::none, Mix::mixup, Mix::mosaic}) {
    SampleMaker maker(dataset, sample_options({.jitter = .2, .mix = mix}));
    for (int k = 0; k < 8; ++k) {
      const Sample sample = make_sample(maker, 0, k);
      expect_sound(sample, 4, "bad labels");
      EXPECT_FALSE(sample.truth.empty());
      for (const TruthBox& t : sample.truth) EXPECT_EQ(t.class_id, 7);
    }
  }
}

}  // namespace
}  // namespace dn
