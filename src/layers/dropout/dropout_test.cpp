// [dropout] against its reference; the mask's statistics: share, independence between images, iterations, layers, seeds and neighbours; its
// independence of the split into mini-batches; refusals.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/plan.h"
#include "layers/dropout/dropout_ref.h"
#include "tests/harness/check_layer.h"
#include "tests/harness/gpu.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool training) {
  return dropout_reference(static_cast<const Dropout&>(layer), {.training = training, .seed = 3}, x[0].shape, x[0].v);
}

void check(const std::string& keys, const Shape& shape) { testing::check_layer("[dropout]\n" + keys, {shape}, reference); }

std::string error_of(const std::string& keys) { return testing::layer_error("[dropout]\n" + keys, {{1, 8, 4, 4}}); }

TEST(dropout, drops_and_scales) {
  check("probability=.5", {2, 16, 5, 6});
  check("probability=.2", {3, 3, 7, 5});
  check("", {1, 20, 4, 4});
  check("probability=.9", {2, 10, 3, 3});
  check("probability=0", {1, 20, 3, 3});
}

// check_layer runs at the start of a training, where nothing is dropped yet; the middle of one is below.
TEST(dropblock, start_of_training) { check("dropblock=1", {2, 10, 8, 9}); }

TEST(dropblock, middle_of_training) {
  const Shape shape{3, 20, 9, 11};
  for (const std::string keys : {"dropblock_size_abs=4", "dropblock_size_rel=.3", "probability=.9", "dropblock_size_abs=1"})
    for (const int block : {8, 16}) {
      const auto layer = testing::parse_layer("[dropout]\ndropblock=1\n" + keys, 1);
      cpu::Device device({.threads = 2, .block = block});
      const TensorDesc desc{shape, block};
      const auto kernel = testing::compile_layer(*layer, device, {.x = {desc}, .y = desc, .training = true, .backward = true, .dx = {Write::accumulate}});
      std::vector<float> x(desc.count(), 3), y(x.size(), -1), dy(x.size(), 2), dx(x.size(), 1);
      std::vector<std::byte> scratch(kernel->needs().forward_scratch);
      const Tensor xs[] = {{desc, x.data()}}, dxs[] = {{desc, dx.data()}};
      const Io io{.x = xs, .dx = dxs, .y = {desc, y.data()}, .dy = {desc, dy.data()}, .scratch = scratch.data()};
      const Pass pass{.training = true, .iteration = 9, .seed = 4, .first_image = 5, .progress = .7};
      kernel->forward(io, pass);
      std::ranges::fill(scratch, std::byte{77});
      kernel->backward(io, pass);
      const std::vector<double> expected = dropblock_reference(static_cast<const Dropout&>(*layer), pass, shape, std::vector<double>(shape.count(), 3));
      EXPECT_GT(std::count(expected.begin(), expected.end(), 0.0), 0) << keys;
      size_t at = 0;
      for (int n = 0; n < shape.n; ++n)
        for (int c = 0; c < shape.c; ++c)
          for (int i = 0; i < shape.h; ++i)
            for (int j = 0; j < shape.w; ++j, ++at) {
              ASSERT_NEAR(io.y.at(n, c, i, j), expected[at], 1e-5) << keys << " at " << at;
              ASSERT_NEAR(dxs[0].at(n, c, i, j), 1 + expected[at] / 3 * 2, 1e-5) << keys << " at " << at;
            }
    }
}

// The kernels for a GPU, there: check_layer with the numbers of such a pass.
TEST(dropblock, middle_of_training_on_a_gpu) {
  const Pass now{.training = true, .iteration = 9, .seed = 4, .first_image = 5, .progress = .7};
  testing::CheckOptions options;
  options.inference = false;
  options.pass = [&](Pass& pass) {
    pass.iteration = now.iteration, pass.seed = now.seed, pass.first_image = now.first_image, pass.progress = now.progress;
  };
  const auto here = [&](const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
    return dropout_reference(static_cast<const Dropout&>(layer), now, x[0].shape, x[0].v);
  };
  testing::check_layer("[dropout]", {{3, 12, 5, 9}}, here, options);
  for (const std::string keys : {"dropblock_size_abs=4", "dropblock_size_rel=.3", "probability=.9", "dropblock_size_abs=1", "dropblock_size_rel=1"})
    testing::check_layer("[dropout]\ndropblock=1\n" + keys, {{3, 20, 9, 11}}, here, options);
  testing::check_layer("[dropout]\ndropblock=1\ndropblock_size_abs=5", {{2, 3, 60, 45}}, here, options);   // several blocks of a kernel
}

// Passes that a GPU has recorded draw anew, as the CPU does: windows of [crop], dropped values, dropped rectangles.
TEST(dropout, recorded_passes_draw_what_the_cpu_draws) {
  const std::string text =
      "[net]\nbatch=4\nwidth=13\nheight=11\nchannels=3\n[crop]\ncrop_width=10\ncrop_height=9\nflip=1\nsaturation=1.5\nexposure=1.4\nshift=.1\n"
      "[dropout]\nprobability=.3\n[dropout]\ndropblock=1\ndropblock_size_abs=3\nprobability=.2\n";
  Network on_cpu = Network::from_text(text), on_gpu = Network::from_text(text);
  cpu::Device cpu({.threads = 2});
  cuda::Device gpu(testing::gpu_options(cuda::Precision::fp32));
  Plan expected(on_cpu, cpu, on_cpu.input(2), {.training = true, .keep_outputs = true}), got(on_gpu, gpu, on_gpu.input(2), {.training = true, .keep_outputs = true});
  std::vector<float> images(on_cpu.input(2).count());
  for (size_t i = 0; i < images.size(); ++i) images[i] = static_cast<float>(i % 97 + 1) * .01f;
  for (uint64_t i = 0; i < 6; ++i) {
    const Pass pass{.training = true, .iteration = i / 2, .seed = 7, .first_image = i % 2 * 2, .progress = static_cast<double>(i) * .15};
    for (Plan* plan : {&expected, &got}) plan->set_input(images.data()), plan->forward(pass);
    for (int layer = 0; layer < 3; ++layer) {
      const Tensor a = expected.output(layer), b = got.output(layer);
      for (int n = 0; n < 2; ++n)
        for (int c = 0; c < 3; ++c)
          for (int y = 0; y < 9; ++y)
            for (int x = 0; x < 10; ++x) ASSERT_NEAR(a.at(n, c, y, x), b.at(n, c, y, x), 1e-4) << "pass " << i << " layer " << layer;
    }
  }
}

// Overlaps and borders take a little off the share; the ramp makes rectangles grow.
TEST(dropblock, share_and_ramp) {
  const DropoutSpec spec{.probability = .1, .dropblock = true, .size_rel = 0, .size_abs = 7};
  const Shape map{1, 1, 60, 80};
  EXPECT_EQ(drop_rectangle(spec, map, 0).seeds, 0);
  EXPECT_EQ(drop_rectangle(spec, map, .425).width, 3);
  EXPECT_EQ(drop_rectangle(spec, map, .9).width, 7);
  EXPECT_NEAR(drop_rectangle(spec, map, .9).seeds, .1 / 49, 1e-12);
  EXPECT_EQ(drop_rectangle({.dropblock = true, .size_rel = .25}, map, 1).height, 15);
  EXPECT_EQ(drop_rectangle({.dropblock = true}, {1, 1, 4, 5}, 1).width, 5);
  std::vector<uint8_t> dropped(map.plane());
  double share = 0;
  const DropRectangle full = drop_rectangle(spec, map, 1);
  for (int image = 0; image < 200; ++image) share += static_cast<double>(DropoutMask({.seed = 5}, 2, image, full.seeds).drop_rectangles(full, map, 0, dropped));
  EXPECT_NEAR(share / 200 / static_cast<double>(map.plane()), .092, .008);
}

double dropped_share(const DropoutMask& mask, uint32_t count) {
  double dropped = 0;
  for (uint32_t e = 0; e < count; ++e) dropped += mask.drops(e);
  return dropped / count;
}

TEST(dropout, share_is_the_probability) {
  const uint32_t count = 1 << 20;
  for (const double p : {.05, .2, .5, .75})
    for (int image = 0; image < 4; ++image) {
      const double spread = std::sqrt(p * (1 - p) / count);
      EXPECT_NEAR(dropped_share(DropoutMask({.seed = 5}, 2, image, p), count), p, 5 * spread);
    }
}

// Masks of different images, iterations, layers and seeds agree as often as chance says; so do neighbours within one.
TEST(dropout, masks_are_independent) {
  const uint32_t count = 1 << 18;
  const DropoutMask first({.iteration = 7, .seed = 5}, 3, 0, .5);
  const DropoutMask others[] = {{{.iteration = 7, .seed = 5}, 3, 1, .5},
                                {{.iteration = 8, .seed = 5}, 3, 0, .5},
                                {{.iteration = 7, .seed = 5}, 4, 0, .5},
                                {{.iteration = 7, .seed = 6}, 3, 0, .5}};
  const double spread = 5 * std::sqrt(.25 / count);
  for (const DropoutMask& other : others) {
    double same = 0;
    for (uint32_t e = 0; e < count; ++e) same += first.drops(e) == other.drops(e);
    EXPECT_NEAR(same / count, .5, spread);
  }
  for (const uint32_t step : {1u, 2u, 13u, 16u, 169u, 4096u}) {
    double same = 0;
    for (uint32_t e = 0; e < count; ++e) same += first.drops(e) == first.drops(e + step);
    EXPECT_NEAR(same / count, .5, spread) << "step " << step;
  }
}

// An image's mask is named by its index in the batch, not by the mini-batch it came in.
TEST(dropout, subdivisions_change_nothing) {
  const DropoutMask whole({.first_image = 0}, 1, 5, .5), split({.first_image = 4}, 1, 1, .5);
  for (uint32_t e = 0; e < 1000; ++e) EXPECT_EQ(whole.drops(e), split.drops(e));
}

TEST(dropout, nothing_dropped_is_a_view) {
  EXPECT_TRUE(testing::parse_layer("[dropout]\nprobability=.0", 1)->is_view());
  EXPECT_FALSE(testing::parse_layer("[dropout]\nprobability=.1", 1)->is_view());
}

TEST(dropout, refusals) {
  EXPECT_NE(error_of("probability=1").find("probability = 1: nothing would be left"), std::string::npos);
  EXPECT_NE(error_of("probability=-.1").find("expected 0..1"), std::string::npos);
  EXPECT_NE(error_of("dropblock=1\ndropblock_size_rel=7").find("expected 0..1"), std::string::npos);
  EXPECT_EQ(error_of("probability=.5\ndropblock=0"), "");
}

}  // namespace
}  // namespace dn
