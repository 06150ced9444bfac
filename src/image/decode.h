// Decoding in two steps: the size first (cheap, and enough to draw a crop), then the pixels, from a JPEG at reduced size where that is enough.
// EXIF orientation is ignored, as in the darknet family: labels are made for the stored pixels.
#pragma once

#include "image/image.h"

namespace dn {

struct ImageSize {
  int width = 0, height = 0;
  bool scalable = false;  // a JPEG: `shrink` may be 2, 4 or 8
};

// Reads the header only; checks the caps of image.h. Throws Error "NAME: ...".
ImageSize read_image_size(std::span<const std::byte> file, const std::string& name);

// Decodes a JPEG to ceil(side / shrink); pixel i of the result covers pixels shrink*i .. shrink*i+shrink-1. Other formats take shrink 1 only.
Image decode_image_shrunk(std::span<const std::byte> file, const std::string& name, int channels, int shrink);

namespace detail {
// One function per codec; `name` opens every message.
ImageSize jpeg_size(std::span<const std::byte> file, const std::string& name);
Image decode_jpeg(std::span<const std::byte> file, const std::string& name, int channels, int shrink);
ImageSize pnm_size(std::span<const std::byte> file, const std::string& name);
Image decode_pnm(std::span<const std::byte> file, const std::string& name, int channels);
ImageSize stb_size(std::span<const std::byte> file, const std::string& name);  // PNG, BMP
Image decode_stb(std::span<const std::byte> file, const std::string& name, int channels);
void check_size(int64_t width, int64_t height, const std::string& name);  // the caps of image.h
Image to_channels(Image image, int channels);                             // 3 -> 1 by ITU-R BT.601 weights, 1 -> 3 by copying
}  // namespace detail

}  // namespace dn
