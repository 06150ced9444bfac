// Augmentation of one training sample, as pure functions: numbers are drawn, a window follows from them, boxes and pixels follow from the window.
// Distributions are those of the darknet family (compatibility notes 10.3); the sampling of pixels is image/resize.h.
//
//   jitter j     each side moves by a uniform whole number of pixels in [-j side, j side], each of the four on its own
//   resize r     left and top move by one draw, right and bottom by another, between out of the image by (1-1/down)/2 of the side and into it by
//                (1-1/up)/2, where down = min(r, 1/r), up = 1/down; r < 1: outwards only; r = 1: not at all
//   letter_box   the shorter side of the window is enlarged to the network's aspect, symmetrically
//   flip         with probability 1/2
//   hue h        uniform in [-h, h]; saturation and exposure s: uniform in [1, s], inverted with probability 1/2
//   blur b       one of: none, background, b, equally often. Background (and b = 1): Gaussian window of 17 pixels around the objects; b > 1: one of
//                2 [b / 2] + 1 pixels over everything, b at most an eighth of the smallest object's shorter side
//   gaussian_noise n   with probability 1/2 normal noise of deviation min(n, 127) / 255, up and down alike (the family's only brightens)
//   mosaic, mixup      with probability 1/2, decided for each sample by itself (the family decides for a loader thread's share of the batch at once)
// What a window shows of the outside of the image is the image's mean colour, with letter_box the gray that inference pads with. Inference without
// letter_box pads nothing, so there is no colour to agree with.
#pragma once

#include <string>
#include <vector>

#include "base/rng.h"
#include "image/resize.h"
#include "image/truth.h"

namespace dn {

struct NetSpec;

enum class Mix : uint8_t { none, mixup, mosaic };

struct Augmentation {
  double jitter = 0, resize = 1;
  bool flip = true;
  double hue = 0, saturation = 1, exposure = 1;
  bool letter_box = false;
  int max_truths = 200;
  int blur = 0;
  int noise = 0;  // deviation in 1/255
  Mix mix = Mix::none;
  bool mosaic_bound = false;
};

// What mosaic, mixup and cutmix mean together: mosaic goes before mixup. Throws Error for cutmix alone, which detectors have no use for; tells on
// stderr what is left out otherwise.
Mix mix_of(const NetSpec& net);
// From [net] and the last head's keys.
Augmentation make_augmentation(const NetSpec& net, double jitter, double resize, int max_truths);

// For people: "mosaic, jitter 0.3, flip, hue 0.1"; "none".
std::string summary(const Augmentation& how);

// The random numbers of one picture of a sample. The same count is drawn whatever the keys say, so one key does not shift what another draws.
struct Draw {
  double resize_left_top = 0, resize_right_bottom = 0;  // [0, 1)
  double left = 0, right = 0, top = 0, bottom = 0;      // jitter, [0, 1)
  bool flip = false;
  Distortion distortion;
  int blur = 0;  // 0: none, 1: the background, else the key's value
  bool noise = false;
};
Draw draw_augmentation(const Augmentation& how, Rng& rng);

Window augmented_window(const Augmentation& how, const Draw& draw, int image_width, int image_height, int net_width, int net_height);

// The boxes that the window shows, relative to the network's input: edges cut at the window, those narrower or lower than one network pixel
// dropped. Every centre lies strictly inside.
std::vector<TruthBox> augmented_boxes(const std::vector<TruthBox>& boxes, const Window& window, bool flip, int image_width, int image_height,
                                      int net_width, int net_height);
// Puts them into random order and keeps the first `most`: a random choice.
void choose_boxes(std::vector<TruthBox>& boxes, int most, Rng& rng);

// The blur that a picture with these boxes stands: 0, 1, or more (see above).
int bearable_blur(int blur, const std::vector<TruthBox>& boxes, int net_width, int net_height);

// The largest of 1 and 2 by which a JPEG may be decoded smaller: the window's part of it must keep at least the network's resolution.
// Nothing visible is lost: the smaller image still has at least one pixel for each of the network's, and averages where plain bilinear
// sampling would skip pixels.
int decode_shrink(const Window& window, int net_width, int net_height);

}  // namespace dn
