// The pictures of -show_imgs: pixels and boxes are those of the batch, files have their names, and there are as many as asked for.
#include "train/sample_pictures.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "data/test_folder.h"

namespace dn {
namespace {

Batch gray_batch(uint64_t iteration, int images, int channels) {
  Batch batch;
  batch.iteration = iteration;
  batch.images = images;
  batch.channels = channels;
  batch.width = 64, batch.height = 48;
  const size_t count = static_cast<size_t>(images * channels) * 64 * 48;
  batch.pixels.reserve(count);
  std::fill_n(batch.pixels.data(), count, .5f);
  batch.truth.assign(static_cast<size_t>(images), {{{.5f, .5f, .5f, .5f}, 1}});
  return batch;
}

TEST(train, SamplePicturesShowPixelsAndBoxes) {
  for (const int channels : {1, 3}) {
    const Batch batch = gray_batch(0, 1, channels);
    const Image image = sample_picture(batch, 0, {"cat", "dog"});
    ASSERT_TRUE(image.width == 64 && image.height == 48 && image.channels == 3);
    const auto at = [&](int x, int y) {
      return std::array{image.pixels[static_cast<size_t>(y * 64 + x) * 3], image.pixels[static_cast<size_t>(y * 64 + x) * 3 + 2]};
    };
    EXPECT_EQ(at(2, 46), (std::array<uint8_t, 2>{128, 128}));   // untouched
    EXPECT_EQ(at(32, 24), (std::array<uint8_t, 2>{128, 128}));  // the inside of the box
    EXPECT_NE(at(16, 30), (std::array<uint8_t, 2>{128, 128}));  // its left edge
  }
  EXPECT_THROW(sample_picture(gray_batch(0, 1, 2), 0, {}), Error);
}

TEST(train, SamplePicturesAreWrittenOnce) {
  const test::TestFolder folder("samples");
  SamplePictures pictures(folder / "x_samples", {}, 5);
  EXPECT_FALSE(pictures.add(gray_batch(0, 3, 3)));
  EXPECT_TRUE(pictures.add(gray_batch(1, 3, 3)));
  EXPECT_TRUE(pictures.done());
  EXPECT_FALSE(pictures.add(gray_batch(2, 3, 3)));
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder / "x_samples")) ++files;
  EXPECT_EQ(files, 6u);
  EXPECT_EQ(load_image(folder / "x_samples/iteration_2_sample_1.jpg").width, 64);
  EXPECT_FALSE(fs::exists(folder / "x_samples/iteration_2_sample_2.jpg"));
  EXPECT_EQ(load_image(folder / "x_samples/iteration_1_sample_2.jpg").height, 48);
  EXPECT_GT(load_image(folder / "x_samples/sheet.jpg").width, 5 * 60);
}

}  // namespace
}  // namespace dn
