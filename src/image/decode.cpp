// Chooses the codec by the file's first bytes and holds what all codecs share: caps, channel conversion, messages for formats we do not read.
#include "image/decode.h"

#include <string_view>

#include "base/error.h"

namespace dn {
namespace {

enum class Format { jpeg, png, bmp, pnm, unknown };

bool starts(std::span<const std::byte> file, std::string_view magic) {
  if (file.size() < magic.size()) return false;
  for (size_t i = 0; i < magic.size(); ++i)
    if (std::to_integer<unsigned char>(file[i]) != static_cast<unsigned char>(magic[i])) return false;
  return true;
}

Format format_of(std::span<const std::byte> file) {
  if (starts(file, "\xFF\xD8\xFF")) return Format::jpeg;
  if (starts(file, "\x89PNG\r\n\x1A\n")) return Format::png;
  if (starts(file, "BM")) return Format::bmp;
  if (starts(file, "P5") || starts(file, "P6")) return Format::pnm;
  return Format::unknown;
}

std::string_view guess(std::span<const std::byte> file) {
  if (file.empty()) return "the file is empty";
  if (starts(file, "GIF8")) return "it is a GIF";
  if (starts(file, "RIFF") && file.size() >= 12 && starts(file.subspan(8), "WEBP")) return "it is a WebP";
  if (starts(file, std::string_view("II*\0", 4)) || starts(file, std::string_view("MM\0*", 4))) return "it is a TIFF";
  if (file.size() >= 12 && starts(file.subspan(4), "ftyp")) return "it is a HEIF, AVIF or video file";
  if (starts(file, "version https://git-lfs")) return "it is a Git LFS pointer, not the image";
  for (std::byte b : file.first(std::min<size_t>(file.size(), 64))) {
    const auto c = std::to_integer<unsigned char>(b);
    if (c == 0 || (c < 32 && c != '\t' && c != '\n' && c != '\r')) return "its first bytes are of no image format we know";
  }
  return "it is a text file";
}

[[noreturn]] void fail_unknown(std::span<const std::byte> file, const std::string& name) {
  fail(name, ": not an image: ", guess(file), "; expected JPEG, PNG, BMP, PPM or PGM");
}

}  // namespace

namespace detail {

void check_size(int64_t width, int64_t height, const std::string& name) {
  if (width < 1 || height < 1) fail(name, ": size ", width, " x ", height, ": expected at least 1 x 1");
  if (width > kMaxImageSide || height > kMaxImageSide || width * height > kMaxImagePixels)
    fail(name, ": size ", width, " x ", height, ": expected sides up to ", kMaxImageSide, " and at most ", kMaxImagePixels, " pixels");
}

Image to_channels(Image image, int channels) {
  if (image.channels == channels) return image;
  Image out{image.width, image.height, channels, {}};
  const size_t count = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  out.pixels.resize(count * static_cast<size_t>(channels));
  if (channels == 3) {
    for (size_t i = 0; i < count; ++i) out.pixels[3 * i] = out.pixels[3 * i + 1] = out.pixels[3 * i + 2] = image.pixels[i];
  } else {
    const uint8_t* from = image.pixels.data();
    for (size_t i = 0; i < count; ++i, from += 3) out.pixels[i] = static_cast<uint8_t>((77 * from[0] + 150 * from[1] + 29 * from[2] + 128) >> 8);
  }
  return out;
}

}  // namespace detail

ImageSize read_image_size(std::span<const std::byte> file, const std::string& name) {
  switch (format_of(file)) {
    case Format::jpeg: return detail::jpeg_size(file, name);
    case Format::png:
    case Format::bmp: return detail::stb_size(file, name);
    case Format::pnm: return detail::pnm_size(file, name);
    case Format::unknown: break;
  }
  fail_unknown(file, name);
}

Image decode_image_shrunk(std::span<const std::byte> file, const std::string& name, int channels, int shrink) {
  ensure(channels == 1 || channels == 3, "images are decoded to 1 or 3 channels");
  const Format format = format_of(file);
  ensure(shrink == 1 || (format == Format::jpeg && (shrink == 2 || shrink == 4 || shrink == 8)), "only a JPEG decodes shrunk");
  switch (format) {
    case Format::jpeg: return detail::decode_jpeg(file, name, channels, shrink);
    case Format::png:
    case Format::bmp: return detail::decode_stb(file, name, channels);
    case Format::pnm: return detail::decode_pnm(file, name, channels);
    case Format::unknown: break;
  }
  fail_unknown(file, name);
}

Image decode_image(std::span<const std::byte> file, const std::string& name, int channels) { return decode_image_shrunk(file, name, channels, 1); }

Image load_image(const fs::path& path, int channels) { return decode_image(read_bytes(path, kMaxImageFile), path.string(), channels); }

}  // namespace dn
