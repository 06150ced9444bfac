// Writing images: JPEG by TurboJPEG, PNG by stb_image_write into memory; the file itself goes through AtomicFile.
#include <turbojpeg.h>

#include <climits>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "image/image.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace dn {
namespace {

constexpr int kFullColourQuality = 90;  // from here on colour is stored at full resolution, so that thin coloured lines stay sharp

std::string encode_png(const Image& image, const std::string& name) {
  std::string out;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<size_t>(size));
  };
  if (stbi_write_png_to_func(append, &out, image.width, image.height, image.channels, image.pixels.data(), static_cast<int>(image.row())) == 0)
    fail(name, ": cannot encode as PNG");
  return out;
}

}  // namespace

std::string encode_jpeg(const Image& image, int quality, const std::string& name) {
  const std::unique_ptr<void, int (*)(tjhandle)> handle(tjInitCompress(), tjDestroy);
  if (!handle) fail(name, ": cannot start the JPEG encoder: ", tjGetErrorStr2(nullptr));
  unsigned char* data = nullptr;
  unsigned long size = 0;
  const int subsampling = image.channels == 1 ? TJSAMP_GRAY : quality >= kFullColourQuality ? TJSAMP_444 : TJSAMP_420;
  const int code = tjCompress2(handle.get(), image.pixels.data(), image.width, 0, image.height, image.channels == 1 ? TJPF_GRAY : TJPF_RGB, &data,
                               &size, subsampling, quality, TJFLAG_ACCURATEDCT);
  const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owner(data, tjFree);
  if (code != 0) fail(name, ": cannot encode as JPEG: ", tjGetErrorStr2(handle.get()));
  return std::string(reinterpret_cast<const char*>(data), size);
}

void save_image(const fs::path& path, const Image& image, int quality) {
  const std::string name = path.string(), extension = lower(path.extension().string());
  ensure(image.channels == 1 || image.channels == 3, "images have 1 or 3 channels");
  ensure(image.width > 0 && image.height > 0 && image.pixels.size() == image.row() * static_cast<size_t>(image.height),
         "an image's size and pixels agree");
  ensure(quality >= 1 && quality <= 100, "JPEG quality is 1..100");
  if (extension == ".jpg" || extension == ".jpeg")
    write_file(path, encode_jpeg(image, quality, name));
  else if (extension == ".png")
    write_file(path, encode_png(image, name));
  else
    fail(name, ": images are written as .jpg, .jpeg or .png");
}

}  // namespace dn
