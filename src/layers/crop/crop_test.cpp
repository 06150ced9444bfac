// [crop] against its reference and differences; what is drawn: everywhere, for every image of its own, the same in any split; other input sizes;
// colours; refusals.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/rng.h"
#include "graph/network.h"
#include "layers/crop/crop_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape& out,
                              bool training) {
  return crop_reference(static_cast<const Crop&>(layer), {.training = training, .seed = 3}, x[0].shape, out, x[0].v);
}

std::string error_of(const std::string& keys, const Shape& in, int index = 1) {
  try {
    testing::parse_layer("[crop]\n" + keys, index)->output_shape({&in, 1});
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(crop, windows) {
  testing::check_layer("[crop]\ncrop_width=5\ncrop_height=3\nflip=1", {{3, 3, 7, 9}}, reference);
  testing::check_layer("[crop]\ncrop_width=4\ncrop_height=4\nflip=1\nnoadjust=1", {{2, 20, 4, 6}}, reference);
  testing::check_layer("[crop]\ncrop_width=6\ncrop_height=4", {{2, 3, 4, 6}}, reference);
}

TEST(crop, colours_of_the_input) {
  const auto layer = testing::parse_layer("[crop]\ncrop_width=8\ncrop_height=6\nsaturation=1.5\nexposure=1.8\nshift=.2", 0);
  const Shape in{4, 3, 9, 10};
  const Shape out = layer->output_shape({&in, 1});
  std::vector<float> x(in.count()), y(TensorDesc{out, 8}.count());
  Rng rng(1, RandomUse::test);
  for (float& v : x) v = static_cast<float>(rng.uniform());
  x[0] = x[in.plane()] = x[2 * in.plane()] = .5f;  // gray and black have no saturation
  x[1] = x[in.plane() + 1] = x[2 * in.plane() + 1] = 0;
  cpu::Device device({.threads = 2, .block = 8});
  const auto kernel = testing::compile_layer(*layer, device, {.x = {{in, 1}}, .y = {out, 8}, .training = true, .dx = {Write::none}});
  const Tensor xs[] = {{{in, 1}, x.data()}};
  const Io io{.x = xs, .y = {{out, 8}, y.data()}};
  for (const uint64_t iteration : {uint64_t{0}, uint64_t{7}}) {
    const Pass pass{.training = true, .iteration = iteration, .seed = 5};
    kernel->forward(io, pass);
    const std::vector<double> expected = crop_reference(static_cast<const Crop&>(*layer), pass, in, out, {x.begin(), x.end()});
    double moved = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const size_t per = out.per_image(), plane = out.plane();
      const float got = io.y.at(int(i / per), int(i % per / plane), int(i % plane) / out.w, int(i % plane) % out.w);
      ASSERT_NEAR(got, expected[i], 1e-5) << i;
      moved = std::max(moved, std::abs(expected[i]));
    }
    EXPECT_GT(moved, .5);
  }
}

TEST(crop, draws) {
  const auto parsed = testing::parse_layer("[crop]\ncrop_width=6\ncrop_height=5\nflip=1\nsaturation=1.5\nexposure=2", 0);
  const Crop& layer = static_cast<const Crop&>(*parsed);
  const Shape in{1, 3, 8, 8}, out{1, 3, 5, 6};
  std::set<int> tops, lefts;
  int flips = 0;
  for (int image = 0; image < 400; ++image) {
    const CropDraw d = layer.draw({.training = true, .seed = 1}, image, in, out);
    tops.insert(d.top), lefts.insert(d.left), flips += d.flip;
    EXPECT_TRUE(d.saturation >= 1 / 1.5 && d.saturation <= 1.5 && d.exposure >= .5 && d.exposure <= 2);
    const CropDraw split = layer.draw({.training = true, .seed = 1, .first_image = uint64_t(image)}, 0, in, out);
    EXPECT_EQ(d.saturation, split.saturation);
  }
  EXPECT_EQ(tops, (std::set<int>{0, 1, 2, 3}));
  EXPECT_EQ(lefts, (std::set<int>{0, 1, 2}));
  EXPECT_NEAR(flips, 200, 50);
  const CropDraw middle = layer.draw({}, 3, in, out);
  EXPECT_TRUE(middle.top == 1 && middle.left == 1 && !middle.flip && middle.saturation == 1);
}

TEST(crop, keeps_its_share_of_other_sizes) {
  const Network network = Network::from_text("[net]\nwidth=64\nheight=32\n[crop]\ncrop_width=48\ncrop_height=32\n");
  EXPECT_EQ(network.output_shapes(network.input(1))[0], (Shape{1, 3, 32, 48}));
  EXPECT_EQ(network.output_shapes(network.input(1, 128, 96))[0], (Shape{1, 3, 96, 96}));
}

TEST(crop, refusals) {
  EXPECT_NE(error_of("crop_width=9\ncrop_height=4", {1, 3, 8, 8}).find("the window of 9 x 4 is larger than the input 8 x 8 x 3"), std::string::npos);
  EXPECT_NE(error_of("crop_width=4\ncrop_height=4\nexposure=2", {1, 3, 8, 8}).find("expected this layer as the first"), std::string::npos);
  EXPECT_NE(error_of("crop_width=4\ncrop_height=4\nexposure=2", {1, 1, 8, 8}, 0).find("need 3 channels"), std::string::npos);
  EXPECT_EQ(error_of("crop_width=4\ncrop_height=4\nangle=7", {1, 3, 8, 8}), "");
}

}  // namespace
}  // namespace dn
