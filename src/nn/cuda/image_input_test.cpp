// Samples drawn by the (emulated) GPU against those that the host draws: every step of image preparation, alone and together, in FP32 up to float
// rounding, in 16 bits up to theirs; through the loader too.
#include "nn/cuda/image_input.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/rng.h"
#include "base/text.h"
#include "data/loader.h"
#include "data/test_folder.h"
#include "device/cuda/view.h"
#include "tests/harness/gpu.h"

namespace dn {
namespace {

using cuda::Precision;
using testing::gpu_options;

constexpr float kTolerance = 1e-5f;  // of values in 0..1

// A tensor of the device as planar floats; padding channels are checked to be zero.
std::vector<float> fetch(cuda::Device& device, const DeviceMemory& memory, const TensorDesc& desc) {
  std::vector<std::byte> bytes(desc.bytes());
  device.stream().to_host(bytes.data(), memory.data(), bytes.size());
  device.synchronize();
  cuda::View v = cuda::view({desc, nullptr});
  v.data = bytes.data();
  const Shape& s = desc.shape;
  std::vector<float> out;
  for (int n = 0; n < s.n; ++n)
    for (int c = 0; c < v.padded; ++c)
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x) {
          const float value = v.get(v.at(n, y, x, c));
          if (c < s.c)
            out.push_back(value);
          else if (value != 0)
            ADD_FAILURE() << "padding channel " << c << " of image " << n << " holds " << value;
        }
  return out;
}

// Draws into memory that is full of NaN.
std::vector<float> draw(cuda::Device& device, cuda::ImageInput& input, std::span<const SampleRecipe> samples, int channels, int width, int height) {
  const TensorDesc desc = device.activation({static_cast<int>(samples.size()), channels, height, width}, false);
  const auto memory = device.allocate(desc.bytes());
  device.stream().fill(memory->data(), 0xff, desc.bytes());
  input.draw(samples, {desc, reinterpret_cast<float*>(memory->data())});
  return fetch(device, *memory, desc);
}

// How far a value may be off in this precision.
float tolerance(Precision precision, float value) {
  if (precision == Precision::bf16) return kTolerance + std::abs(value) / 256;
  if (precision == Precision::fp16) return kTolerance + std::abs(value) / 2048;
  return kTolerance;
}

void expect_alike(const std::vector<float>& got, std::span<const float> expected, Precision precision, const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_TRUE(std::abs(got[i] - expected[i]) <= tolerance(precision, expected[i]))
        << what << ": value " << i << " is " << got[i] << ", expected " << expected[i];
}

int between(Rng& rng, int least, int most) { return least + static_cast<int>(rng.below(static_cast<uint32_t>(most - least + 1))); }

// A picture of random pixels and everything about it random, for the place x, y, width, height of a sample.
Picture random_picture(Rng& rng, const Image& image, int outputs_x, int outputs_y) {
  Picture p;
  Sampling& s = p.sampling;
  s.shrink = between(rng, 1, 2);
  const int width = image.width * s.shrink, height = image.height * s.shrink;
  s.window = {between(rng, -width, width), between(rng, -height, height), between(rng, 1, 2 * width), between(rng, 1, 2 * height)};
  if (rng.coin()) s.window = {0, 0, width, height};
  s.flip = rng.coin();
  if (rng.coin())
    s.distortion = {static_cast<float>(rng.uniform(-.5, .5)), static_cast<float>(rng.uniform(.3, 2.5)), static_cast<float>(rng.uniform(.3, 2.5))};
  for (float& fill : s.fill) fill = static_cast<float>(rng.uniform(0, 255));
  s.outputs_x = outputs_x, s.outputs_y = outputs_y;
  p.width = outputs_x, p.height = outputs_y;
  if (rng.coin()) {
    p.blur = 2 * between(rng, 1, 9) + 1;
    for (int k = between(rng, 0, 3); k > 0; --k) {
      const int left = between(rng, -5, outputs_x), top = between(rng, -5, outputs_y);
      p.sharp.push_back({left, top, left + between(rng, -2, 12), top + between(rng, -2, 12)});
    }
  }
  if (rng.coin()) {
    p.noise = static_cast<float>(rng.uniform(.01, .5));
    p.noise_key = static_cast<uint64_t>(rng.next()) << 32 | rng.next();
  }
  return p;
}

// One picture, a mixup of two, or a mosaic of four.
struct RandomSample {
  std::vector<Picture> pictures;
  std::vector<Image> images;
};
RandomSample random_sample(Rng& rng, int channels, int width, int height) {
  RandomSample out;
  const int kind = between(rng, 0, 2), cut_x = between(rng, 0, width), cut_y = between(rng, 0, height);
  for (int part = 0; part < (kind == 0 ? 1 : kind == 1 ? 2 : 4); ++part) {
    out.images.push_back(test::noise_image(between(rng, 1, 60), between(rng, 1, 40), channels, rng.next()));
    Picture& p = out.pictures.emplace_back(random_picture(rng, out.images.back(), width, height));
    p.mean = kind == 1 && part == 1;
    if (kind != 2) continue;
    const bool left = part % 2 == 0, top = part < 2;
    p.x = left ? 0 : cut_x, p.y = top ? 0 : cut_y;
    p.width = left ? cut_x : width - cut_x, p.height = top ? cut_y : height - cut_y;
    p.sampling.x = between(rng, 0, width - p.width), p.sampling.y = between(rng, 0, height - p.height);
  }
  return out;
}

std::vector<float> drawn_by_host(const RandomSample& sample, int channels, int width, int height) {
  std::vector<float> pixels(static_cast<size_t>(channels * width * height), NAN);
  for (size_t k = 0; k < sample.pictures.size(); ++k) draw_picture(sample.pictures[k], sample.images[k], channels, width, height, pixels.data());
  return pixels;
}

TEST(image_input, draws_what_the_host_draws) {
  const std::pair<int, int> sizes[] = {{1, 1}, {1, 9}, {7, 1}, {33, 20}, {64, 48}};
  for (const Precision precision : {Precision::fp32, Precision::bf16, Precision::fp16}) {
    cuda::Device device(gpu_options(precision));
    cuda::ImageInput input(device);
    PixelStore store;
    for (int round = 0; round < 60; ++round) {
      Rng rng(static_cast<uint64_t>(round), RandomUse::test, 77);
      const int channels = round % 2 == 0 ? 3 : 1;
      const auto [width, height] = sizes[round % 5];
      store.begin(round % 4 == 0 ? plain_memory : cuda::pinned_memory(device));
      std::vector<SampleRecipe> samples(4);
      std::vector<float> expected;
      for (SampleRecipe& recipe : samples) {
        const RandomSample sample = random_sample(rng, channels, width, height);
        for (size_t k = 0; k < sample.pictures.size(); ++k) {
          Picture p = sample.pictures[k];
          if (p.empty()) continue;
          store.keep(sample.images[k], p);
          recipe.push_back(p);
        }
        const std::vector<float> pixels = drawn_by_host(sample, channels, width, height);
        expected.insert(expected.end(), pixels.begin(), pixels.end());
      }
      const std::string what = concat(cuda::precision_name(precision), ", round ", round);
      expect_alike(draw(device, input, samples, channels, width, height), expected, precision, what);
    }
  }
}

// Of large ones fewer are drawn at a time, which nobody sees but the memory.
TEST(image_input, large_pictures_take_no_more_memory) {
  constexpr int kSamples = 5, kSide = 40;
  const Shape input{kSamples, 3, kSide, kSide};
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    cuda::Device device(gpu_options(precision));
    cuda::ImageInput image_input(device);
    EXPECT_EQ(image_input.bytes(), 0u);
    PixelStore store;
    store.begin(plain_memory);
    std::vector<SampleRecipe> samples(kSamples);
    std::vector<float> expected;
    size_t all = 0;
    for (int i = 0; i < kSamples; ++i) {
      RandomSample sample;
      for (int k = 0; k < 2; ++k) {   // a mixup
        sample.images.push_back(test::noise_image(i == 2 ? 30 : 130, i == 2 ? 20 : 120, 3, static_cast<uint64_t>(2 * i + k)));
        Picture p;
        p.sampling.window = {0, 0, sample.images[static_cast<size_t>(k)].width, sample.images[static_cast<size_t>(k)].height};
        p.width = p.height = kSide;
        p.blur = i % 2 == 0 ? 9 : 1;
        p.mean = k == 1;
        sample.pictures.push_back(p);
        store.keep(sample.images[static_cast<size_t>(k)], p);
        samples[static_cast<size_t>(i)].push_back(p);
        all += sample.images[static_cast<size_t>(k)].pixels.size();
      }
      const std::vector<float> pixels = drawn_by_host(sample, 3, kSide, kSide);
      expected.insert(expected.end(), pixels.begin(), pixels.end());
    }
    expect_alike(draw(device, image_input, samples, 3, kSide, kSide), expected, precision, "large pictures");
    EXPECT_GT(all, 3 * input.count() * sizeof(float));
    EXPECT_LE(image_input.bytes(), cuda::ImageInput::most_bytes(input, true));
  }
}

// Everything that the picture does not read is left out of what goes to the device.
TEST(image_input, keeps_the_part_that_shows) {
  const Image image = test::noise_image(100, 80, 3, 1);
  Picture p;
  p.sampling.window = {20, 10, 40, 30};
  p.width = p.height = 16;
  PixelStore store;
  store.begin(plain_memory);
  store.keep(image, p);
  EXPECT_TRUE(p.part.left == 20 && p.part.top == 10 && p.part.right == 61 && p.part.bottom == 41);  // a neighbour more, of weight 0
  EXPECT_EQ(p.pixels[0], image.pixels[10 * 300 + 60]);
  p.sampling.window = {200, 10, 40, 30};
  store.keep(image, p);
  EXPECT_TRUE(p.part.left == p.part.right && p.part.top == p.part.bottom);
}

// Memory of the caller's is asked for once the batches are known, and holds them then.
TEST(image_input, pixels_lie_in_the_memory_that_is_given) {
  const Image image = test::noise_image(64, 64, 3, 1);
  std::vector<std::pair<const std::byte*, size_t>> blocks;
  const HostMemory memory = [&](size_t bytes) {
    const std::shared_ptr<std::byte> block = plain_memory(bytes);
    blocks.emplace_back(block.get(), bytes);
    return block;
  };
  PixelStore store;
  for (int round = 0; round < 4; ++round) {
    store.begin(memory);
    for (int k = 0; k < 5; ++k) {
      Picture p;
      p.sampling.window = {0, 0, 64, 64};
      p.width = p.height = 64;
      store.keep(image, p);
      EXPECT_TRUE(std::equal(image.pixels.begin(), image.pixels.end(), p.pixels));
      const auto* at = reinterpret_cast<const std::byte*>(p.pixels);
      if (round == 0) continue;  // on the heap
      EXPECT_TRUE(at >= blocks.back().first && at + image.pixels.size() <= blocks.back().first + blocks.back().second);
    }
  }
  EXPECT_EQ(blocks.size(), 1u);
}

struct Case {
  std::string name;
  Augmentation how;
  int channels = 3;
};

std::vector<Case> cases() {
  const Augmentation usual{.jitter = .3, .resize = 1.4, .hue = .1, .saturation = 1.5, .exposure = 1.5};
  std::vector<Case> all = {{"plain", {.flip = false}}, {"usual", usual}, {"gray", usual, 1}};
  Augmentation how = usual;
  how.letter_box = true;
  all.push_back({"letter_box", how});
  how.blur = 9, how.noise = 12;
  all.push_back({"letter_box, blur, noise", how});
  how = usual;
  how.mix = Mix::mosaic;
  all.push_back({"mosaic", how});
  how.blur = 1, how.noise = 30;
  all.push_back({"mosaic, background blurred, noise", how});
  all.push_back({"gray mosaic, background blurred, noise", how, 1});
  how.mix = Mix::mixup;
  all.push_back({"mixup, background blurred, noise", how});
  return all;
}

// Batches of the loader by both ways: the same truths, the same pixels.
void compare_batches(const Dataset& dataset, const Case& c, Precision precision, int side, int iterations) {
  cuda::Device device(gpu_options(precision));
  cuda::ImageInput input(device);
  LoaderOptions options;
  options.threads = 3;
  options.sample.seed = 5;
  options.sample.batch = 6;
  options.sample.classes = 3;
  options.sample.channels = c.channels;
  options.sample.augmentation = c.how;
  Loader by_host(dataset, options);
  options.recipes = true;
  options.memory = cuda::pinned_memory(device);
  Loader by_device(dataset, options);
  const size_t image = static_cast<size_t>(c.channels * side * (side - 16));
  for (uint64_t iteration = 0; iteration < static_cast<uint64_t>(iterations); ++iteration) {
    const Batch& expected = by_host.next(iteration, side, side - 16);
    const Batch& batch = by_device.next(iteration, side, side - 16);
    EXPECT_EQ(batch.truth, expected.truth) << c.name;
    EXPECT_TRUE(expected.recipes.empty());
    for (size_t first = 0; first < 6; first += 3)
      expect_alike(draw(device, input, std::span(batch.recipes).subspan(first, 3), c.channels, side, side - 16),
                   std::span(expected.pixels.data() + first * image, 3 * image), precision, concat(c.name, ", iteration ", iteration));
  }
}

// Large JPEGs, decoded smaller, small ones and such that no decoder takes.
fs::path make_set(const test::TestFolder& folder) {
  std::string list;
  for (int i = 0; i < 7; ++i) {
    const std::string name = concat("i", i, i % 3 == 0 ? ".png" : ".jpg");
    if (i == 4)
      write_file(folder / name, "<html>not found</html>");
    else
      save_image(folder / name, test::noise_image(i % 2 == 0 ? 330 : 50, i % 2 == 0 ? 250 : 41, i == 5 ? 1 : 3, static_cast<uint64_t>(i)));
    write_file(folder / concat("i", i, ".txt"), concat(i % 3, " .4 .5 .4 .3\n", i % 2, " .7 .3 .1 .1\n"));
    list += name + "\n";
  }
  write_file(folder / "list.txt", list);
  return folder / "list.txt";
}

TEST(image_input, batches_of_the_loader) {
  const test::TestFolder folder("image_input");
  const Dataset dataset(make_set(folder));
  for (const Case& c : cases()) {
    compare_batches(dataset, c, Precision::fp32, 96, 3);
    compare_batches(dataset, c, Precision::bf16, 64, 1);
  }
}

// Photographs, where the folder is at hand.
TEST(image_input, photographs) {
  const char* given = std::getenv("DN_BCCD");
  const fs::path list = (given ? fs::path(given) : fs::path(DN_SOURCE_DIR) / ".." / "shared" / "data" / "bccd") / "train.txt";
  if (!fs::exists(list)) GTEST_SKIP() << list << " is not there";
  const Dataset dataset(list);
  for (const Case& c : cases()) compare_batches(dataset, c, Precision::fp32, 160, 2);
}

}  // namespace
}  // namespace dn
