// Sequences and pairs as the loader gives them, and that batches do not depend on its threads with any of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "data/loader.h"
#include "data/test_folder.h"

namespace dn {
namespace {

using test::TestFolder;

constexpr int kSide = 48, kFrames = 40;

// Frame i is gray of brightness 5 i + 20, with one object at the same place in all.
fs::path film(const TestFolder& folder, int missing = -1) {
  std::string list;
  for (int i = 0; i < kFrames; ++i) {
    const auto gray = static_cast<uint8_t>(5 * i + 20);
    if (i != missing) test::write_quickly(folder / concat("f", i, ".ppm"), test::plain_image(60, 50, {gray, gray, gray}));
    test::write_quickly(folder / concat("f", i, ".txt"), "0 .5 .4 .3 .5\n");
    list += concat("f", i, ".ppm\n");
  }
  write_file(folder / "list.txt", list);
  return folder / "list.txt";
}

LoaderOptions loader_options(int batch, const BatchLayout& layout, const Augmentation& how, int threads = 2) {
  LoaderOptions options;
  options.threads = threads;
  options.sample.seed = 4;
  options.sample.batch = batch;
  options.sample.layout = layout;
  options.sample.augmentation = how;
  return options;
}

// Which frame image k of the batch shows, from the pixel in its middle.
int frame_of(const Batch& batch, int k) {
  const size_t area = static_cast<size_t>(kSide) * kSide;
  const float gray = batch.pixels.data()[static_cast<size_t>(k) * 3 * area + area / 2 + kSide / 2];
  return static_cast<int>(std::lround((static_cast<double>(gray) * 255 - 20) / 5));
}

TEST(data, SequencesAreConsecutiveFramesAugmentedAlike) {
  const TestFolder folder("film");
  const Dataset dataset(film(folder));
  BatchLayout layout;
  layout.track = true;
  layout.mini_batch = 12, layout.time_steps = 4, layout.max_speed = 3;  // 3 sequences of 4 frames, 2 mini-batches
  Loader loader(dataset, loader_options(24, layout, {.jitter = .2, .resize = 1.2}));
  std::set<int> speeds, starts;
  std::set<float> widths;
  for (uint64_t iteration = 0; iteration < 10; ++iteration) {
    const Batch& batch = loader.next(iteration, kSide, kSide);
    for (int part = 0; part < 2; ++part)
      for (int q = 0; q < 3; ++q) {
        const auto index = [&](int t) { return part * 12 + t * 3 + q; };
        const int first = frame_of(batch, index(0)), speed = (frame_of(batch, index(1)) - first + kFrames) % kFrames;
        speeds.insert(speed);
        starts.insert(first);
        for (int t = 0; t < 4; ++t) {
          EXPECT_EQ(frame_of(batch, index(t)), (first + t * speed) % kFrames);
          EXPECT_EQ(batch.truth[static_cast<size_t>(index(t))], batch.truth[static_cast<size_t>(index(0))]);
        }
        ASSERT_EQ(batch.truth[static_cast<size_t>(index(0))].size(), 1u);
        widths.insert(batch.truth[static_cast<size_t>(index(0))][0].box.w);
      }
  }
  EXPECT_EQ(speeds, (std::set<int>{1, 2, 3}));
  EXPECT_EQ(starts.size(), static_cast<size_t>(kFrames));  // 60 sequences: the beginnings go through the list
  EXPECT_GT(widths.size(), 20u);                           // each sequence has a look of its own
}

TEST(data, SequencesGoOnInTheNextMiniBatch) {
  const TestFolder folder("chain");
  const Dataset dataset(film(folder));
  BatchLayout layout;
  layout.track = true;
  layout.mini_batch = 4, layout.time_steps = 2, layout.chain = 3;
  Loader loader(dataset, loader_options(12, layout, {}));
  const Batch& batch = loader.next(5, kSide, kSide);
  for (int q = 0; q < 2; ++q)
    for (int n = 0; n < 6; ++n) EXPECT_EQ(frame_of(batch, n / 2 * 4 + n % 2 * 2 + q), (frame_of(batch, q) + n) % kFrames);
}

TEST(data, AMissingFrameIsTheNextOne) {
  const TestFolder folder("gap");
  const Dataset dataset(film(folder, 7));
  BatchLayout layout;
  layout.track = true;
  layout.mini_batch = layout.time_steps = kFrames;
  Loader loader(dataset, loader_options(kFrames, layout, {}));
  const Batch& batch = loader.next(0, kSide, kSide);
  ASSERT_NE(frame_of(batch, 0), 8);  // could be the missing one's substitute
  for (int t = 0; t < kFrames; ++t) {
    const int expected = (frame_of(batch, 0) + t) % kFrames;
    EXPECT_EQ(frame_of(batch, t), expected == 7 ? 8 : expected);
  }
  EXPECT_EQ(loader.bad_samples().size(), 1u);
}

TEST(data, PairsShowTheSamePictureTwice) {
  const TestFolder folder("pairs");
  const Dataset dataset(film(folder));
  BatchLayout layout;
  layout.contrastive = true;
  const auto differing = [&](const Augmentation& how) {
    Loader loader(dataset, loader_options(16, layout, how));
    int boxes = 0, pixels = 0;
    std::set<uint64_t> objects;
    for (uint64_t iteration = 0; iteration < 4; ++iteration) {
      const Batch& batch = loader.next(iteration, kSide, kSide);
      const size_t size = static_cast<size_t>(3) * kSide * kSide;
      for (size_t k = 0; k < 16; k += 2) {
        EXPECT_EQ(batch.truth[k].at(0).track_id, batch.truth[k + 1].at(0).track_id);
        objects.insert(batch.truth[k][0].track_id);
        boxes += !(batch.truth[k] == batch.truth[k + 1]);
        pixels += std::memcmp(batch.pixels.data() + k * size, batch.pixels.data() + (k + 1) * size, size * sizeof(float)) != 0;
      }
    }
    EXPECT_EQ(objects.size(), 32u);  // 32 pairs of different pictures
    return std::pair(boxes, pixels);
  };
  const Augmentation crop{.jitter = .2}, colour{.exposure = 1.5}, zoom{.resize = 1.3};
  EXPECT_EQ(differing(crop), std::pair(0, 0));
  EXPECT_EQ(differing(colour), std::pair(0, 0));
  EXPECT_EQ(differing(zoom).first, 32);
  layout.own_crop = true;
  EXPECT_EQ(differing(crop).first, 32);
  EXPECT_EQ(differing(colour), std::pair(0, 0));
  layout.own_crop = false;
  layout.own_colour = true;
  EXPECT_EQ(differing(crop), std::pair(0, 0));
  EXPECT_EQ(differing(colour), std::pair(0, 32));
}

TEST(data, NothingDependsOnLoaderThreads) {
  const TestFolder folder("allthreads");
  const Dataset dataset(film(folder, 3));
  BatchLayout single, sequences, pairs;
  sequences.track = true;
  sequences.mini_batch = 6, sequences.time_steps = 3, sequences.max_speed = 2, sequences.chain = 2;
  pairs.contrastive = true;
  for (const BatchLayout& layout : {single, sequences, pairs})
    for (const Mix mix : {Mix::mosaic, Mix::mixup}) {
      const Augmentation how{
          .jitter = .3, .resize = 1.4, .hue = .1, .saturation = 1.5, .exposure = 1.5, .letter_box = true, .blur = 5, .noise = 20, .mix = mix};
      std::vector<std::vector<float>> pixels;
      std::vector<std::vector<std::vector<TruthBox>>> truth;
      for (const int threads : {1, 4}) {
        Loader loader(dataset, loader_options(12, layout, how, threads));
        for (size_t iteration = 0; iteration < 4; ++iteration) {
          const Batch& batch = loader.next(iteration, kSide, kSide);
          std::vector<float> values(batch.pixels.data(), batch.pixels.data() + static_cast<size_t>(12) * 3 * kSide * kSide);
          for (const float v : values) ASSERT_TRUE(v >= 0 && v <= 1);
          if (threads == 1) {
            pixels.push_back(std::move(values));
            truth.push_back(batch.truth);
            continue;
          }
          EXPECT_EQ(std::memcmp(values.data(), pixels[iteration].data(), values.size() * sizeof(float)), 0);
          EXPECT_EQ(batch.truth, truth[iteration]);
        }
      }
    }
}

}  // namespace
}  // namespace dn
