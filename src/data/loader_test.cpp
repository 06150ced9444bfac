// The loader: same batches whatever the threads, bad samples, changes of size, errors, shutdown.
#include "data/loader.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "data/inference.h"
#include "data/test_folder.h"

namespace dn {
namespace {

using test::noise_image;
using test::TestFolder;

// `images` pictures of different sizes and kinds with one to three boxes each; those in `broken` are text files.
fs::path make_set(const TestFolder& folder, int images, const std::vector<int>& broken = {}) {
  std::string list;
  for (int i = 0; i < images; ++i) {
    const std::string name = concat("i", i, i % 3 == 0 ? ".png" : ".jpg");
    if (std::find(broken.begin(), broken.end(), i) != broken.end())
      write_file(folder / name, "<html>not found</html>");
    else
      save_image(folder / name, noise_image(40 + 7 * (i % 5), 30 + 5 * (i % 4), i % 4 == 1 ? 1 : 3, static_cast<uint64_t>(i)));
    std::string rows;
    for (int k = 0; k <= i % 3; ++k) rows += concat(k, " 0.", 3 + k, " .5 .4 .4\n");
    write_file(folder / concat("i", i, ".txt"), rows);
    list += name + "\n";
  }
  write_file(folder / "list.txt", list);
  return folder / "list.txt";
}

LoaderOptions usual(int batch, int threads) {
  LoaderOptions options;
  options.threads = threads;
  options.sample.seed = 42;
  options.sample.batch = batch;
  options.sample.classes = 3;
  options.sample.augmentation = {.jitter = .3, .resize = 1.2, .hue = .1, .saturation = 1.5, .exposure = 1.5};
  return options;
}

struct Copy {
  std::vector<float> pixels;
  std::vector<std::vector<TruthBox>> truth;
  bool operator==(const Copy& o) const {
    return pixels.size() == o.pixels.size() && std::memcmp(pixels.data(), o.pixels.data(), pixels.size() * sizeof(float)) == 0 && truth == o.truth;
  }
};
Copy copy(const Batch& batch) {
  const size_t count = static_cast<size_t>(batch.images) * static_cast<size_t>(batch.channels * batch.height * batch.width);
  return {{batch.pixels.data(), batch.pixels.data() + count}, batch.truth};
}

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}

TEST(data, BatchesDoNotDependOnThreadsOrPrefetch) {
  const TestFolder folder("threads");
  const Dataset dataset(make_set(folder, 23, {4}));
  std::vector<Copy> expected;
  for (const int threads : {1, 8, 3})
    for (const int prefetch : {0, 1, 3}) {
      LoaderOptions options = usual(7, threads);
      options.prefetch = prefetch;
      Loader loader(dataset, options);
      for (size_t i = 0; i < 8; ++i) {
        const Batch& batch = loader.next(i, i < 5 ? 64 : 48, 32);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(batch.pixels.data()) % 64, 0u);
        EXPECT_GE(batch.wait_seconds, 0);
        if (expected.size() <= i)
          expected.push_back(copy(batch));
        else
          EXPECT_TRUE(copy(batch) == expected[i]) << threads << " threads, prefetch " << prefetch << ", iteration " << i;
      }
    }
  EXPECT_FALSE(expected[0] == expected[1]);
  for (const Copy& c : expected)
    for (const float v : c.pixels) ASSERT_TRUE(v >= 0 && v <= 1);
}

TEST(data, BatchesDoNotDependOnHistory) {
  const TestFolder folder("history");
  const Dataset dataset(make_set(folder, 9));
  Loader straight(dataset, usual(4, 2)), jumping(dataset, usual(4, 2));
  std::vector<Copy> expected;
  for (uint64_t i = 0; i < 6; ++i) expected.push_back(copy(straight.next(i, 32, 32)));
  for (const size_t i : {5u, 2u, 3u, 3u, 0u}) EXPECT_TRUE(copy(jumping.next(i, 32, 32)) == expected[i]) << i;  // as after a resume
  jumping.next(1, 96, 64);
  EXPECT_TRUE(copy(jumping.next(2, 32, 32)) == expected[2]);  // was made ahead at another size
}

TEST(data, RanksShareABatch) {
  const TestFolder folder("ranks");
  const Dataset dataset(make_set(folder, 9));
  LoaderOptions options = usual(6, 2);
  Loader whole(dataset, options);
  options.first = 4;
  options.count = 2;
  Loader part(dataset, options);
  const Copy all = copy(whole.next(3, 32, 32)), own = copy(part.next(3, 32, 32));
  ASSERT_EQ(own.truth.size(), 2u);
  EXPECT_TRUE(std::equal(own.pixels.begin(), own.pixels.end(), all.pixels.begin() + 4 * 3 * 32 * 32));
  EXPECT_EQ(own.truth[1], all.truth[5]);
}

TEST(data, WithoutAugmentationTrainingSeesWhatInferenceSees) {
  const TestFolder folder("plain");
  save_image(folder / "a.jpg", noise_image(90, 70, 3, 1));
  write_file(folder / "a.txt", "1 .5 .25 .5 .5\n");
  write_file(folder / "list.txt", "a.jpg\n");
  const Dataset dataset(folder / "list.txt");
  LoaderOptions options = usual(1, 1);
  options.sample.augmentation = {.flip = false};
  Loader loader(dataset, options);
  const Copy batch = copy(loader.next(0, 64, 48));
  const InferenceImage image = load_for_inference(folder / "a.jpg", 64, 48, false);
  EXPECT_EQ(std::memcmp(batch.pixels.data(), image.pixels.data(), batch.pixels.size() * sizeof(float)), 0);
  EXPECT_EQ(batch.truth[0], (std::vector<TruthBox>{{{.5f, .25f, .5f, .5f}, 1}}));
}

TEST(data, LargeJpegsAreDecodedSmallerWithoutVisibleLoss) {
  const TestFolder folder("scaled");
  Image image = test::plain_image(400, 300, {30, 60, 90});
  test::fill_rectangle(image, 100, 60, 300, 240, {220, 200, 40});
  save_image(folder / "a.jpg", image);
  write_file(folder / "list.txt", "a.jpg\n");
  const Dataset dataset(folder / "list.txt");
  LoaderOptions options = usual(4, 1);
  options.sample.augmentation.jitter = .1;
  Loader fast(dataset, options);
  options.sample.scaled_decode = false;
  Loader full(dataset, options);
  const Copy a = copy(fast.next(0, 96, 96)), b = copy(full.next(0, 96, 96));
  EXPECT_FALSE(a == b);  // the smaller decode was taken
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(double(a.pixels[i]) - double(b.pixels[i]));
  EXPECT_LT(sum / static_cast<double>(a.pixels.size()), .006);  // edges only
}

TEST(data, BadSamplesAreReplacedAndListed) {
  const TestFolder folder("bad");
  const Dataset dataset(make_set(folder, 12, {2, 7}));
  make_directories(folder / "i9.dir");
  fs::remove(folder / "i5.jpg");  // missing
  fs::remove(folder / "i8.txt");
  make_directories(folder / "i8.txt");  // unreadable labels
  Loader loader(dataset, usual(12, 4));
  for (uint64_t i = 0; i < 2; ++i)
    for (const float v : copy(loader.next(i, 32, 32)).pixels) ASSERT_TRUE(v >= 0 && v <= 1);
  const std::vector<std::string> bad = loader.bad_samples();
  ASSERT_EQ(bad.size(), 4u);
  EXPECT_NE(bad[0].find("i2.jpg: not an image: it is a text file"), std::string::npos) << bad[0];
  EXPECT_NE(bad[1].find("i5.jpg: cannot open"), std::string::npos) << bad[1];
  EXPECT_NE(bad[3].find("i8.txt"), std::string::npos) << bad[3];
  EXPECT_GE(loader.substituted(), 8);  // each of the four was drawn once in both epochs
}

TEST(data, TooManyBadSamplesStopTheRun) {
  const TestFolder folder("toomany");
  std::vector<int> broken;
  for (int i = 0; i < 11; ++i) broken.push_back(i);
  const Dataset some(make_set(folder, 30, broken));
  Loader loader(some, usual(30, 2));
  EXPECT_NE(error_of([&] { loader.next(0, 32, 32); }).find("11 images cannot be used: expected at most 10 of 30"), std::string::npos);
  LoaderOptions patient = usual(30, 2);
  patient.sample.max_bad = 11;
  Loader other(some, patient);
  EXPECT_EQ(error_of([&] { other.next(0, 32, 32); }), "(no error)");
}

TEST(data, NoUsableImageIsAnError) {
  const TestFolder folder("none");
  const Dataset dataset(make_set(folder, 3, {0, 1, 2}));
  Loader loader(dataset, usual(2, 2));
  EXPECT_NE(error_of([&] { loader.next(0, 32, 32); }).find("0 usable of 3 images"), std::string::npos);
  EXPECT_NE(error_of([&] { loader.next(1, 32, 32); }), "(no error)");  // and stays one
}

TEST(data, OneImageAndGrayNetworks) {
  const TestFolder folder("one");
  const Dataset dataset(make_set(folder, 1));
  LoaderOptions options = usual(5, 3);
  options.sample.channels = 1;
  Loader loader(dataset, options);
  const Batch& batch = loader.next(0, 32, 64);
  EXPECT_EQ(batch.channels, 1);
  EXPECT_EQ(batch.images, 5);
  EXPECT_EQ(copy(batch).pixels.size(), 5u * 32 * 64);
}

TEST(data, LoadersStopAtAnyMoment) {
  const TestFolder folder("stop");
  const Dataset dataset(make_set(folder, 6));
  for (int i = 0; i < 20; ++i) {
    LoaderOptions options = usual(16, 4);
    options.prefetch = 2;
    Loader loader(dataset, options);
    if (i % 2 == 0) loader.next(0, 96, 96);  // the rest is being made when the loader goes
  }
}

}  // namespace
}  // namespace dn
