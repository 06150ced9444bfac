// From 8-bit pixels to the network's planar floats in one sweep over the output rows: window, bilinear resize, flip, colour distortion, packing.
//
// Output pixel i of n samples the source at  start + i step  (align-corners: the first and the last fall on the window's first and last pixel).
// The image covers [-1/2, side - 1/2): within it coordinates are clamped to the outermost pixels and interpolated, beyond it is the fill colour.
// Training and inference use this one function, so that a network is fed alike in both; without augmentation the results are equal bit for bit.
#pragma once

#include <array>
#include <optional>

#include "image/colour.h"
#include "image/image.h"

namespace dn {

// In pixels of the original image; may reach outside it.
struct Window {
  int left = 0, top = 0, width = 0, height = 0;
  bool operator==(const Window&) const = default;
};

struct Sampling {
  Window window;
  int shrink = 1;     // the image at hand is the original decoded at 1/shrink (image/decode.h)
  bool flip = false;  // mirror left and right
  Distortion distortion;
  std::array<float, 3> fill{};  // 0..255, for what lies outside the image; distorted like the rest
  // Only a part is wanted: the view holds outputs x.. and y.. of outputs_x x outputs_y ones. 0: the view is all there is.
  int outputs_x = 0, outputs_y = 0, x = 0, y = 0;
};

// Part of planar storage: `channels` planes of `height` rows of `width` floats.
struct PlanarView {
  float* data = nullptr;
  int width = 0, height = 0;
  size_t row_stride = 0, plane_stride = 0;  // in floats
};
PlanarView planar(float* data, int width, int height);  // dense [C,height,width]

// The coordinates (image/pixel.h) of a view of this size.
struct SampledAxis;
SampledAxis sampled_columns(int image_width, const Sampling& sampling, int width);
SampledAxis sampled_rows(int image_height, const Sampling& sampling, int height);
// The pixels of the image that a view of this size is made of; empty where it shows none.
PixelRect sampled_part(int image_width, int image_height, const Sampling& sampling, int width, int height);

// Values are 0..1.
void sample_image(const Image& image, const Sampling& sampling, const PlanarView& to);
// The same in plain double arithmetic, for tests.
void sample_image_reference(const Image& image, const Sampling& sampling, const PlanarView& to);

// Where an image lies in the network's input at inference: stretched over all of it, or with its aspect kept, centred on gray (letterbox).
struct Placement {
  int left = 0, top = 0, width = 0, height = 0;
};
Placement place_image(int image_width, int image_height, int net_width, int net_height, bool letter_box);

inline constexpr float kLetterboxGray = 0.5f;

// Inference input [C,net_height,net_width] in 0..1.
void fill_network_input(const Image& image, int net_width, int net_height, bool letter_box, float* out);

}  // namespace dn
