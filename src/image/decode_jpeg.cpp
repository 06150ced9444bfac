// JPEG through libjpeg-turbo's TurboJPEG interface, with the accurate DCT. Sizes are read and checked before pixels are taken; the number of
// scans of a progressive file is limited. A warning of the decoder (a truncated or damaged file) is an Error: half an image is no sample.
// The one exception is stray bytes before the end marker, which some cameras write and which cost no pixel.
#include <turbojpeg.h>

#include <memory>
#include <string_view>

#include "base/error.h"
#include "image/decode.h"

namespace dn::detail {
namespace {

using Handle = std::unique_ptr<void, int (*)(tjhandle)>;

// One per thread: making a handle costs more than reading a header.
Handle& own_handle() {
  thread_local Handle handle(nullptr, tjDestroy);
  return handle;
}

tjhandle decoder() {
  Handle& handle = own_handle();
  if (!handle) handle.reset(tjInitDecompress());
  if (!handle) fail("cannot start the JPEG decoder: ", tjGetErrorStr2(nullptr));
  return handle.get();
}

// After a failure the handle must not be used again: TurboJPEG 2.1 leaves it in the middle of the damaged file, and the next sound file would
// be read as its continuation.
template <class... Parts>
[[noreturn]] void fail_and_discard(const Parts&... parts) {
  const std::string message = concat(parts...);
  own_handle().reset();
  throw Error(message);
}

struct Header {
  int width = 0, height = 0, colorspace = 0;
};

const unsigned char* bytes_of(std::span<const std::byte> file) { return reinterpret_cast<const unsigned char*>(file.data()); }

Header read_header(std::span<const std::byte> file, const std::string& name) {
  Header header;
  int subsampling = 0;
  const int code = tjDecompressHeader3(decoder(), bytes_of(file), file.size(), &header.width, &header.height, &subsampling, &header.colorspace);
  if (code != 0 && tjGetErrorCode(decoder()) == TJERR_FATAL) fail_and_discard(name, ": not a readable JPEG: ", tjGetErrorStr2(decoder()));
  if (header.width < 1 || header.height < 1) fail_and_discard(name, ": not a readable JPEG: it ends before its size");
  check_size(header.width, header.height, name);
  return header;
}

void decompress(std::span<const std::byte> file, const std::string& name, Image& image, int format) {
  const int flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS;
  const int code = tjDecompress2(decoder(), bytes_of(file), file.size(), image.pixels.data(), image.width, 0, image.height, format, flags);
  if (code == 0) return;
  const std::string reason = tjGetErrorStr2(decoder());
  const bool harmless = tjGetErrorCode(decoder()) == TJERR_WARNING && reason.find("extraneous bytes before marker 0xd9") != std::string::npos;
  if (!harmless) fail_and_discard(name, ": damaged JPEG: ", reason);
}

// CMYK as Adobe's programs write it, inverted (255 = no ink), which is what is met in practice: R = C K / 255.
void cmyk_to_rgb(const Image& cmyk, Image& rgb) {
  const size_t count = static_cast<size_t>(cmyk.width) * static_cast<size_t>(cmyk.height);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* from = &cmyk.pixels[4 * i];
    for (size_t c = 0; c < 3; ++c) rgb.pixels[3 * i + c] = static_cast<uint8_t>((from[c] * from[3] + 127) / 255);
  }
}

}  // namespace

ImageSize jpeg_size(std::span<const std::byte> file, const std::string& name) {
  const Header header = read_header(file, name);
  return {header.width, header.height, true};
}

Image decode_jpeg(std::span<const std::byte> file, const std::string& name, int channels, int shrink) {
  const Header header = read_header(file, name);
  Image image{(header.width + shrink - 1) / shrink, (header.height + shrink - 1) / shrink, channels, {}};
  const size_t count = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  if (header.colorspace == TJCS_CMYK || header.colorspace == TJCS_YCCK) {
    Image cmyk{image.width, image.height, 4, std::vector<uint8_t>(count * 4)};
    decompress(file, name, cmyk, TJPF_CMYK);
    image.channels = 3;
    image.pixels.resize(count * 3);
    cmyk_to_rgb(cmyk, image);
    return to_channels(std::move(image), channels);
  }
  image.pixels.resize(count * static_cast<size_t>(channels));
  decompress(file, name, image, channels == 3 ? TJPF_RGB : TJPF_GRAY);
  return image;
}

}  // namespace dn::detail
