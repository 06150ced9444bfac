// Distributions of the random numbers, windows by hand, and that boxes go where pixels go.
#include "data/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "config/net_spec.h"
#include "data/test_folder.h"

namespace dn {
namespace {

Draw centred() {  // draws that move nothing
  Draw draw;
  draw.left = draw.right = draw.top = draw.bottom = .5;
  return draw;
}

TEST(data, AugmentationIsTakenFromNet) {
  NetSpec net;
  net.flip = false;
  net.hue = .1;
  net.saturation = 1.5;
  net.exposure = 1.4;
  net.letter_box = true;
  net.blur = 5;
  net.gaussian_noise = 300;
  net.mosaic = net.mosaic_bound = true;
  const Augmentation how = make_augmentation(net, .3, 1.5, 90);
  EXPECT_FALSE(how.flip);
  EXPECT_EQ(how.hue, .1);
  EXPECT_EQ(how.saturation, 1.5);
  EXPECT_EQ(how.exposure, 1.4);
  EXPECT_TRUE(how.letter_box);
  EXPECT_EQ(how.jitter, .3);
  EXPECT_EQ(how.resize, 1.5);
  EXPECT_EQ(how.max_truths, 90);
  EXPECT_EQ(how.blur, 5);
  EXPECT_EQ(how.noise, 127);
  EXPECT_EQ(how.mix, Mix::mosaic);
  EXPECT_TRUE(how.mosaic_bound);
}

NetSpec mixing(bool mosaic, bool cutmix, int mixup) {
  NetSpec net;
  net.mosaic = mosaic;
  net.cutmix = cutmix;
  net.mixup = mixup;
  net.section.file = "y.cfg";
  net.section.type = "net";
  return net;
}

TEST(data, MosaicMixupAndCutmixMakeOneChoice) {
  EXPECT_EQ(mix_of(mixing(false, false, 0)), Mix::none);
  EXPECT_EQ(mix_of(mixing(false, false, 1)), Mix::mixup);
  EXPECT_EQ(mix_of(mixing(true, false, 0)), Mix::mosaic);
  EXPECT_EQ(mix_of(mixing(true, true, 0)), Mix::mosaic);
  EXPECT_EQ(mix_of(mixing(true, false, 1)), Mix::mosaic);
  EXPECT_EQ(mix_of(mixing(false, false, 3)), Mix::mosaic);  // the family's codes
  EXPECT_EQ(mix_of(mixing(false, false, 4)), Mix::mosaic);
  for (const NetSpec& net : {mixing(false, true, 0), mixing(false, true, 1), mixing(false, false, 2)}) {
    try {
      mix_of(net);
      ADD_FAILURE() << "cutmix alone";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("classifiers only"), std::string::npos) << error.what();
    }
  }
}

TEST(data, AugmentationsAreNamed) {
  EXPECT_EQ(summary({.flip = false}), "none");
  EXPECT_EQ(summary({.jitter = .25, .hue = .5, .letter_box = true, .blur = 1, .mix = Mix::mixup}),
            "mixup of every second sample, jitter 0.25, flip, hue 0.5, background blur, letterboxed");
}

TEST(data, BlurAndNoiseAreDrawnAsOften) {
  Augmentation how;
  how.blur = 9;
  how.noise = 5;
  constexpr int kDraws = 20000;
  int none = 0, background = 0, all = 0, noisy = 0;
  for (uint64_t i = 0; i < kDraws; ++i) {
    Rng rng(5, RandomUse::augment, i);
    const Draw draw = draw_augmentation(how, rng);
    none += draw.blur == 0, background += draw.blur == 1, all += draw.blur == 9, noisy += draw.noise;
  }
  EXPECT_EQ(none + background + all, kDraws);
  for (const int third : {none, background, all}) EXPECT_NEAR(third, kDraws / 3, 300);
  EXPECT_NEAR(noisy, kDraws / 2, 300);
  how.blur = 1;  // the background in two of three
  background = 0;
  for (uint64_t i = 0; i < kDraws; ++i) {
    Rng rng(5, RandomUse::augment, i);
    background += draw_augmentation(how, rng).blur == 1;
  }
  EXPECT_NEAR(background, kDraws * 2 / 3, 300);
}

TEST(data, BlurSparesSmallObjects) {
  const std::vector<TruthBox> boxes{{{.5f, .5f, .5f, .25f}, 0}, {{.5f, .5f, .4f, .8f}, 0}};
  EXPECT_EQ(bearable_blur(0, boxes, 320, 320), 0);
  EXPECT_EQ(bearable_blur(1, boxes, 32, 32), 1);
  EXPECT_EQ(bearable_blur(50, boxes, 320, 320), 10);  // 80 pixels / 8
  EXPECT_EQ(bearable_blur(7, boxes, 320, 320), 7);
  EXPECT_EQ(bearable_blur(50, boxes, 32, 32), 1);  // 8 pixels: the background only
  EXPECT_EQ(bearable_blur(50, boxes, 16, 16), 0);
  EXPECT_EQ(bearable_blur(50, {}, 16, 16), 50);
}

TEST(data, DrawsHaveTheirDistributions) {
  Augmentation how;
  how.hue = .1;
  how.saturation = 1.5;
  how.exposure = 2;
  constexpr int kDraws = 40000;
  double flips = 0, hue = 0, hue_square = 0, above = 0, log_saturation = 0, exposure_above = 0, left = 0;
  for (uint64_t i = 0; i < kDraws; ++i) {
    Rng rng(1, RandomUse::augment, i);
    const Draw draw = draw_augmentation(how, rng);
    const double h = static_cast<double>(draw.distortion.hue), s = static_cast<double>(draw.distortion.saturation),
                 e = static_cast<double>(draw.distortion.exposure);
    ASSERT_LE(std::abs(h), .1 + 1e-6);
    ASSERT_TRUE(s >= 1 / 1.5 - 1e-6 && s <= 1.5 + 1e-6 && e >= .5 - 1e-6 && e <= 2 + 1e-6);
    flips += draw.flip;
    hue += h;
    hue_square += h * h;
    above += s > 1;
    log_saturation += std::log(s);
    if (e > 1) exposure_above += e;
    left += draw.left;
  }
  EXPECT_NEAR(flips / kDraws, .5, .01);
  EXPECT_NEAR(hue / kDraws, 0, .001);
  EXPECT_NEAR(hue_square / kDraws, .01 / 3, 1e-4);  // variance of a uniform number in [-.1, .1]
  EXPECT_NEAR(above / kDraws, .5, .01);
  EXPECT_NEAR(log_saturation / kDraws, 0, .005);    // inverted half of the time
  EXPECT_NEAR(exposure_above / kDraws, .75, .015);  // half of the draws, of mean 1.5
  EXPECT_NEAR(left / kDraws, .5, .01);
}

TEST(data, KeysDoNotShiftOtherDraws) {
  Augmentation none, all;
  none.flip = false;
  all.hue = .2;
  all.saturation = all.exposure = 1.7;
  all.jitter = .3;
  all.blur = 4;
  all.noise = 9;
  Rng a(3, RandomUse::augment, 1), b(3, RandomUse::augment, 1);
  const Draw first = draw_augmentation(none, a), second = draw_augmentation(all, b);
  EXPECT_EQ(first.left, second.left);
  EXPECT_EQ(first.bottom, second.bottom);
  EXPECT_TRUE(first.distortion.neutral());
  EXPECT_FALSE(first.flip);
  EXPECT_EQ(a.next(), b.next());
}

TEST(data, WindowsByHand) {
  Augmentation how;
  how.jitter = .2;
  Draw draw = centred();
  EXPECT_EQ(augmented_window(how, draw, 100, 50, 32, 32), (Window{0, 0, 100, 50}));
  draw.left = 0, draw.right = .9999999, draw.top = .75, draw.bottom = .25;
  // left -20, right +19, top +5, bottom -5
  EXPECT_EQ(augmented_window(how, draw, 100, 50, 32, 32), (Window{-20, 5, 101, 50}));
}

TEST(data, ResizeKeyMovesOutAndIn) {
  Augmentation how;
  Draw draw = centred();
  how.resize = 1.5;  // between -25 and +16 of 100 pixels
  draw.resize_left_top = draw.resize_right_bottom = 0;
  EXPECT_EQ(augmented_window(how, draw, 100, 200, 32, 32), (Window{-25, -50, 150, 300}));
  draw.resize_left_top = .999999999;
  EXPECT_EQ(augmented_window(how, draw, 100, 200, 32, 32).left, 15);  // just below the end of the range, cut to a whole pixel
  EXPECT_EQ(augmented_window(how, draw, 100, 200, 32, 32).width, 110);
  how.resize = .5;  // outwards only, to -50
  EXPECT_EQ(augmented_window(how, draw, 100, 200, 32, 32).left, 0);
  draw.resize_left_top = 0;
  EXPECT_EQ(augmented_window(how, draw, 100, 200, 32, 32).left, -50);
  how.resize = 1;
  EXPECT_EQ(augmented_window(how, draw, 100, 200, 32, 32), (Window{0, 0, 100, 200}));
}

TEST(data, LetterBoxWidensToTheNetworksAspect) {
  Augmentation how;
  how.letter_box = true;
  EXPECT_EQ(augmented_window(how, centred(), 200, 100, 416, 416), (Window{0, -50, 200, 200}));
  EXPECT_EQ(augmented_window(how, centred(), 100, 200, 416, 416), (Window{-50, 0, 200, 200}));
  EXPECT_EQ(augmented_window(how, centred(), 100, 100, 640, 320), (Window{-50, 0, 200, 100}));
}

TEST(data, DegenerateWindowsShowTheWholeImage) {
  Augmentation how;
  how.jitter = .9;
  Draw draw = centred();
  draw.left = draw.right = .99;
  EXPECT_EQ(augmented_window(how, draw, 100, 80, 32, 32), (Window{0, 0, 100, 80}));
  how.resize = 3;
  for (const int side : {1, 2, 3}) {
    Rng rng(1, RandomUse::augment);
    for (int i = 0; i < 500; ++i) {
      const Window window = augmented_window(how, draw_augmentation(how, rng), side, side, 32, 32);
      ASSERT_TRUE(window.width >= 1 && window.height >= 1);
    }
  }
}

TEST(data, BoxesFollowTheWindow) {
  const std::vector<TruthBox> boxes{{{.5f, .5f, .2f, .4f}, 1, 77}};
  auto out = augmented_boxes(boxes, {0, 0, 100, 100}, false, 100, 100, 416, 416);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0], boxes[0]);
  EXPECT_EQ(out[0].track_id, 77u);
  out = augmented_boxes(boxes, {50, 0, 50, 100}, false, 100, 100, 416, 416);  // the right half: the box's right half is at its left
  ASSERT_EQ(out.size(), 1u);
  EXPECT_NEAR(out[0].box.x, .1, 1e-6);
  EXPECT_NEAR(out[0].box.w, .2, 1e-6);
  EXPECT_NEAR(out[0].box.h, .4, 1e-6);
  out = augmented_boxes(boxes, {50, 0, 50, 100}, true, 100, 100, 416, 416);
  EXPECT_NEAR(out.at(0).box.x, .9, 1e-6);
  EXPECT_TRUE(augmented_boxes(boxes, {70, 0, 30, 100}, false, 100, 100, 416, 416).empty());
  // Cut to half a network pixel: dropped; to one and a half: kept.
  EXPECT_TRUE(augmented_boxes(boxes, {59, 0, 64, 100}, false, 100, 100, 32, 32).empty());
  EXPECT_EQ(augmented_boxes(boxes, {57, 0, 64, 100}, false, 100, 100, 32, 32).size(), 1u);
}

TEST(data, BoxesAreShuffledAndLimited) {
  std::vector<TruthBox> boxes;
  for (int i = 0; i < 20; ++i) boxes.push_back({{.5f, .5f, .5f, .5f}, i});
  std::vector<int> kept(20);
  for (uint64_t i = 0; i < 4000; ++i) {
    Rng rng(2, RandomUse::augment, i);
    std::vector<TruthBox> out = boxes;
    choose_boxes(out, 5, rng);
    ASSERT_EQ(out.size(), 5u);
    for (const TruthBox& t : out) ++kept[static_cast<size_t>(t.class_id)];
  }
  for (const int k : kept) EXPECT_NEAR(k, 1000, 150);  // each box survives equally often
}

TEST(data, CentresLieStrictlyInside) {
  Augmentation how;
  how.jitter = .4;
  Rng rng(4, RandomUse::augment);
  const std::vector<TruthBox> boxes{{{1, 1, .5f, .5f}, 0}, {{0, 0, .3f, .3f}, 0}, {{.999f, .5f, .002f, 1}, 0}, {{.5f, 1, 1, .01f}, 0}};
  for (int i = 0; i < 5000; ++i) {
    const Draw draw = draw_augmentation(how, rng);
    const Window window = augmented_window(how, draw, 300, 200, 416, 416);
    for (const TruthBox& t : augmented_boxes(boxes, window, draw.flip, 300, 200, 416, 416)) {
      ASSERT_TRUE(t.box.x > 0 && t.box.x < 1 && t.box.y > 0 && t.box.y < 1);
      ASSERT_TRUE(t.box.w <= 1 && t.box.h <= 1 && t.box.w > 0 && t.box.h > 0);
    }
  }
}

// A bright rectangle on black is augmented like its box; the box must then bound the bright pixels to within a pixel or so.
TEST(data, BoxesBoundTheirPixels) {
  constexpr int kWidth = 320, kHeight = 200, kNet = 160;
  int checked = 0;
  for (uint64_t i = 0; i < 300; ++i) {
    Rng rng(8, RandomUse::augment, i);
    const int shrink = i % 3 == 0 ? 2 : 1;
    const int left = 2 * static_cast<int>(rng.below(100)), top = 2 * static_cast<int>(rng.below(60));
    const int right = left + 20 + 2 * static_cast<int>(rng.below(50)), bottom = top + 20 + 2 * static_cast<int>(rng.below(30));
    Image image = test::plain_image(kWidth / shrink, kHeight / shrink, {0, 0, 0});
    test::fill_rectangle(image, left / shrink, top / shrink, right / shrink, bottom / shrink, {255, 255, 255});
    const std::vector<TruthBox> box{
        {{(left + right) / 2.0f / kWidth, (top + bottom) / 2.0f / kHeight, (right - left) / float(kWidth), (bottom - top) / float(kHeight)}, 0}};
    Augmentation how;
    how.jitter = .3;
    how.resize = 1.4;
    how.letter_box = i % 2 == 0;
    const Draw draw = draw_augmentation(how, rng);
    Sampling sampling;
    sampling.window = augmented_window(how, draw, kWidth, kHeight, kNet, kNet);
    sampling.flip = draw.flip;
    sampling.shrink = shrink;
    const auto boxes = augmented_boxes(box, sampling.window, draw.flip, kWidth, kHeight, kNet, kNet);
    std::vector<float> out(3 * kNet * kNet);
    sample_image(image, sampling, planar(out.data(), kNet, kNet));
    int x0 = kNet, x1 = 0, y0 = kNet, y1 = 0;
    for (int y = 0; y < kNet; ++y)
      for (int x = 0; x < kNet; ++x)
        if (out[static_cast<size_t>(y * kNet + x)] > .5f)
          x0 = std::min(x0, x), x1 = std::max(x1, x + 1), y0 = std::min(y0, y), y1 = std::max(y1, y + 1);
    if (boxes.empty()) {
      ASSERT_TRUE(x1 - x0 <= 2 || y1 - y0 <= 2);
      continue;
    }
    ++checked;
    const Box& b = boxes[0].box;
    const float tolerance = 1.6f;  // align-corners stretches by up to a pixel, and the threshold lies between pixels
    ASSERT_NEAR((b.x - b.w / 2) * kNet, x0, tolerance) << i;
    ASSERT_NEAR((b.x + b.w / 2) * kNet, x1, tolerance) << i;
    ASSERT_NEAR((b.y - b.h / 2) * kNet, y0, tolerance) << i;
    ASSERT_NEAR((b.y + b.h / 2) * kNet, y1, tolerance) << i;
  }
  EXPECT_GT(checked, 200);
}

TEST(data, DecodeShrinksOnlyWhereNothingIsLost) {
  EXPECT_EQ(decode_shrink({0, 0, 832, 832}, 416, 416), 2);
  EXPECT_EQ(decode_shrink({0, 0, 831, 2000}, 416, 416), 1);
  EXPECT_EQ(decode_shrink({-100, 0, 4000, 3000}, 416, 416), 2);
}

}  // namespace
}  // namespace dn
