// Pixels: 8-bit interleaved images [H,W,C] and planar float images [C,H,W] in 0..1, RGB order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"

namespace dn {

struct Image {  // interleaved u8
  int width = 0, height = 0, channels = 3;
  std::vector<uint8_t> pixels;
  size_t row() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }
};

// Columns [left, right) of rows [top, bottom).
struct PixelRect {
  int left = 0, top = 0, right = 0, bottom = 0;
};

inline constexpr int kMaxImageSide = 16384;
inline constexpr int64_t kMaxImagePixels = 100'000'000;

// Decodes JPEG (libjpeg-turbo), PNG, BMP, PNM (stb_image) from memory into `channels` = 1 or 3. The magic number decides, not the name.
// Throws Error "NAME: ..." for what does not decode, is truncated or is too large; sizes are checked before memory is taken.
Image decode_image(std::span<const std::byte> file, const std::string& name, int channels = 3);
Image load_image(const fs::path& path, int channels = 3);

// Writes by extension (.jpg/.jpeg with `quality`, .png), atomically.
void save_image(const fs::path& path, const Image& image, int quality = 92);
std::string encode_jpeg(const Image& image, int quality, const std::string& name);  // the file's bytes; `name` is for errors

}  // namespace dn
