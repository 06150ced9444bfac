// See inference.h. The letterbox's margin is the whole number of pixels that the pixels were moved by (the darknet family takes half the rest, half a
// pixel off when the rest is odd).
#include "data/inference.h"

#include "base/error.h"

namespace dn {

InferenceImage prepare_for_inference(const Image& image, int net_width, int net_height, bool letter_box) {
  ensure(net_width > 0 && net_height > 0, "a network has a size");
  InferenceImage out;
  out.pixels.reserve(checked_product({static_cast<size_t>(image.channels), static_cast<size_t>(net_width), static_cast<size_t>(net_height)}));
  out.width = image.width;
  out.height = image.height;
  out.net_width = net_width;
  out.net_height = net_height;
  out.place = place_image(image.width, image.height, net_width, net_height, letter_box);
  fill_network_input(image, net_width, net_height, letter_box, out.pixels.data());
  return out;
}

InferenceImage load_for_inference(const fs::path& path, int net_width, int net_height, bool letter_box, int channels) {
  return prepare_for_inference(load_image(path, channels), net_width, net_height, letter_box);
}

Box to_image(const Box& box, const InferenceImage& image) {
  const float sx = static_cast<float>(image.net_width) / static_cast<float>(image.place.width);
  const float sy = static_cast<float>(image.net_height) / static_cast<float>(image.place.height);
  const float dx = static_cast<float>(image.place.left) / static_cast<float>(image.net_width);
  const float dy = static_cast<float>(image.place.top) / static_cast<float>(image.net_height);
  return {(box.x - dx) * sx, (box.y - dy) * sy, box.w * sx, box.h * sy};
}

Box to_network(const Box& box, const InferenceImage& image) {
  const float sx = static_cast<float>(image.place.width) / static_cast<float>(image.net_width);
  const float sy = static_cast<float>(image.place.height) / static_cast<float>(image.net_height);
  const float dx = static_cast<float>(image.place.left) / static_cast<float>(image.net_width);
  const float dy = static_cast<float>(image.place.top) / static_cast<float>(image.net_height);
  return {box.x * sx + dx, box.y * sy + dy, box.w * sx, box.h * sy};
}

}  // namespace dn
