// PNG and BMP through stb_image, restricted to those formats and to memory. stb_image checks neither a PNG's checksums nor that a BMP is whole,
// and lets compressed data expand without limit; both are done here: checksums and lengths before, a cap on every allocation during decoding.
#include <array>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "image/decode.h"

namespace {

thread_local size_t allocation_cap = 0;

void* capped_malloc(size_t bytes) { return bytes > allocation_cap ? nullptr : std::malloc(bytes); }
void* capped_realloc(void* memory, size_t bytes) { return bytes > allocation_cap ? nullptr : std::realloc(memory, bytes); }

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS dn::kMaxImageSide
#define STBI_MALLOC(bytes) capped_malloc(bytes)
#define STBI_REALLOC(memory, bytes) capped_realloc(memory, bytes)
#define STBI_FREE(memory) std::free(memory)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace dn::detail {
namespace {

using Bytes = std::span<const std::byte>;

uint32_t big_endian(Bytes file, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(file[at + i]);
  return value;
}

uint32_t little_endian(Bytes file, size_t at, size_t bytes = 4) {
  uint32_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | std::to_integer<uint32_t>(file[at + i]);
  return value;
}

// CRC-32 of ISO 3309 as the PNG specification (annex D) has it.
uint32_t crc32(Bytes data) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      t[i] = c;
    }
    return t;
  }();
  uint32_t c = ~0u;
  for (std::byte b : data) c = table[(c ^ std::to_integer<uint32_t>(b)) & 255] ^ (c >> 8);
  return ~c;
}

void check_png(Bytes file, const std::string& name) {
  constexpr size_t kSignature = 8, kAround = 12;  // of a chunk: length, type, checksum
  for (size_t at = kSignature;;) {
    if (file.size() - at < kAround) fail(name, ": damaged PNG: it ends before its end chunk");
    const size_t length = big_endian(file, at);
    if (length > file.size() - at - kAround)
      fail(name, ": damaged PNG: a chunk of ", length, " bytes at byte ", at, " reaches beyond the end of the file");
    if (crc32(file.subspan(at + 4, length + 4)) != big_endian(file, at + 8 + length)) fail(name, ": damaged PNG: wrong checksum at byte ", at);
    if (big_endian(file, at + 4) == 0x49454E44u) return;  // IEND
    at += length + kAround;
  }
}

void check_bmp(Bytes file, const std::string& name) {
  if (file.size() < 30) fail(name, ": damaged BMP: ", file.size(), " bytes");
  const uint64_t offset = little_endian(file, 10);
  const bool old_header = little_endian(file, 14) == 12;
  const auto magnitude = [](uint32_t v) { return static_cast<uint64_t>(std::abs(static_cast<int64_t>(static_cast<int32_t>(v)))); };
  const uint64_t width = old_header ? little_endian(file, 18, 2) : magnitude(little_endian(file, 18));
  const uint64_t height = old_header ? little_endian(file, 20, 2) : magnitude(little_endian(file, 22));
  const uint64_t bits = little_endian(file, old_header ? 24 : 28, 2);
  if (bits > 32) fail(name, ": damaged BMP: ", bits, " bits a pixel");
  check_size(static_cast<int64_t>(width), static_cast<int64_t>(height), name);
  const uint64_t row = (width * bits + 31) / 32 * 4;
  if (offset > file.size() || file.size() - offset < row * height)
    fail(name, ": damaged BMP: ", file.size(), " bytes: expected ", offset + row * height);
}

ImageSize checked_size(Bytes file, const std::string& name) {
  if (file.size() > static_cast<size_t>(INT32_MAX)) fail(name, ": ", file.size(), " bytes: expected less than 2 GiB");
  allocation_cap = 1 << 20;
  int width = 0, height = 0, channels = 0;
  if (stbi_info_from_memory(reinterpret_cast<const stbi_uc*>(file.data()), static_cast<int>(file.size()), &width, &height, &channels) == 0)
    fail(name, ": not a readable PNG or BMP: ", stbi_failure_reason());
  check_size(width, height, name);
  return {width, height, false};
}

}  // namespace

ImageSize stb_size(Bytes file, const std::string& name) { return checked_size(file, name); }

Image decode_stb(Bytes file, const std::string& name, int channels) {
  const ImageSize size = checked_size(file, name);
  if (std::to_integer<unsigned char>(file[0]) == 'B')
    check_bmp(file, name);
  else
    check_png(file, name);
  const size_t count = static_cast<size_t>(size.width) * static_cast<size_t>(size.height);
  // The most that a sound file needs: 4 channels of 16 bits with a filter byte a row and pass, doubled because stb_image grows by doubling.
  allocation_cap = 2 * (count * 8 + static_cast<size_t>(size.height) * 16 + file.size()) + (1 << 20);
  int width = 0, height = 0, stored = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> decoded(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(file.data()), static_cast<int>(file.size()), &width, &height, &stored, channels),
      std::free);
  if (!decoded) fail(name, ": damaged PNG or BMP: ", stbi_failure_reason());
  ensure(width == size.width && height == size.height, "stb_image changed its mind about a size");
  Image image{width, height, channels, {}};
  image.pixels.assign(decoded.get(), decoded.get() + count * static_cast<size_t>(channels));
  return image;
}

}  // namespace dn::detail
