// Whatever draws the samples, a plan says the same of a batch.
#include "train/image_feed.h"

#include <gtest/gtest.h>

#include "data/test_folder.h"
#include "device/cpu/device.h"
#include "tests/harness/gpu.h"

namespace dn {
namespace {

constexpr int kSide = 48, kBatch = 6, kMiniBatch = 3;

fs::path make_set(const test::TestFolder& folder) {
  std::string list;
  for (int i = 0; i < 5; ++i) {
    save_image(folder / concat("i", i, ".jpg"), test::noise_image(60 + 40 * i, 50 + 20 * i, 3, static_cast<uint64_t>(i)));
    write_file(folder / concat("i", i, ".txt"), "0 .5 .5 .4 .4\n");
    list += concat("i", i, ".jpg\n");
  }
  write_file(folder / "list.txt", list);
  return folder / "list.txt";
}

// What a small network says of the batches of some iterations.
std::vector<float> outputs(const Dataset& dataset, Device& device, bool pictures) {
  LoaderOptions loading;
  loading.sample.seed = 9;
  loading.sample.batch = kBatch;
  loading.sample.augmentation = {.jitter = .2, .hue = .1, .saturation = 1.3, .exposure = 1.3, .blur = 5, .noise = 5, .mix = Mix::mosaic};
  ImageFeed feed(device, pictures);
  feed.prepare(loading);
  EXPECT_EQ(loading.recipes, device.kind() == DeviceKind::cuda && !pictures);
  Loader loader(dataset, loading);
  Network network = Network::from_text(
      concat("[net]\nbatch=6\nwidth=", kSide, "\nheight=", kSide, "\nchannels=3\n[convolutional]\nfilters=6\nsize=3\npad=1\nactivation=leaky\n"),
      "test");
  network.params().initialize(1);
  Plan plan(network, device, network.input(kMiniBatch), {});
  std::vector<float> out;
  for (uint64_t iteration = 0; iteration < 4; ++iteration) {
    const Batch& batch = loader.next(iteration, kSide, kSide);
    for (size_t first = 0; first < kBatch; first += kMiniBatch) {
      feed.set_input(plan, batch, first);
      plan.forward({});
      const Tensor t = plan.output(0);
      const Shape& s = t.desc.shape;
      for (int n = 0; n < s.n; ++n)
        for (int c = 0; c < s.c; ++c)
          for (int y = 0; y < s.h; ++y)
            for (int x = 0; x < s.w; ++x) out.push_back(t.at(n, c, y, x));
    }
    feed.finish_batch();
  }
  return out;
}

TEST(train, ImageFeedsAreAlike) {
  const test::TestFolder folder("image_feed");
  const Dataset dataset(make_set(folder));
  cpu::Device host;
  const std::vector<float> expected = outputs(dataset, host, false);
  for (const bool pictures : {true, false}) {
    cuda::Device gpu(testing::gpu_options(cuda::Precision::fp32));
    const std::vector<float> got = outputs(dataset, gpu, pictures);
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], expected[i], 1e-4f) << (pictures ? "drawn by the loader, " : "drawn by the GPU, ") << i;
  }
}

}  // namespace
}  // namespace dn
