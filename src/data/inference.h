// An image as the network wants it at inference, and the way back from the network's boxes to the image's.
#pragma once

#include "base/aligned.h"
#include "image/box.h"
#include "image/resize.h"

namespace dn {

struct InferenceImage {
  PixelFloats pixels;       // [channels,net_height,net_width], 0..1
  int width = 0, height = 0;  // of the original
  int net_width = 0, net_height = 0;
  Placement place;  // where the original lies in the network's input
};

InferenceImage prepare_for_inference(const Image& image, int net_width, int net_height, bool letter_box);
// Throws Error "PATH: ..." for an image that cannot be read.
InferenceImage load_for_inference(const fs::path& path, int net_width, int net_height, bool letter_box, int channels = 3);

// A box relative to the network's input -> relative to the image, and back. Not clipped.
Box to_image(const Box& box, const InferenceImage& image);
Box to_network(const Box& box, const InferenceImage& image);

}  // namespace dn
