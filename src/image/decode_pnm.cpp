// PPM (P6) and PGM (P5): a text header of width, height and the largest value, one white-space character, then rows of 1 or 2 bytes a value
// (big-endian), as the netpbm manual describes them. Values are scaled to 0..255.
#include "base/error.h"
#include "image/decode.h"

namespace dn::detail {
namespace {

struct Header {
  int64_t width = 0, height = 0, largest = 0;
  int channels = 3;
  size_t data = 0;  // where the pixels begin
};

bool blank(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& name) : file_(file), name_(name) {}
  int64_t number(const char* what) {
    while (at_ < file_.size() && (blank(byte()) || byte() == '#')) {
      if (byte() == '#')
        while (at_ < file_.size() && byte() != '\n') ++at_;
      else
        ++at_;
    }
    int64_t value = 0;
    const size_t start = at_;
    while (at_ < file_.size() && byte() >= '0' && byte() <= '9' && at_ - start < 9) value = 10 * value + (std::to_integer<int>(file_[at_++]) - '0');
    if (at_ == start || at_ >= file_.size() || !blank(byte())) fail(name_, ": damaged PPM or PGM: no ", what, " in the header");
    return value;
  }
  size_t after_blank() const { return at_ + 1; }

 private:
  unsigned char byte() const { return std::to_integer<unsigned char>(file_[at_]); }
  std::span<const std::byte> file_;
  const std::string& name_;
  size_t at_ = 2;
};

Header read_header(std::span<const std::byte> file, const std::string& name) {
  Header header;
  Reader reader(file, name);
  header.channels = std::to_integer<unsigned char>(file[1]) == '6' ? 3 : 1;
  header.width = reader.number("width");
  header.height = reader.number("height");
  header.largest = reader.number("largest value");
  check_size(header.width, header.height, name);
  if (header.largest < 1 || header.largest > 65535) fail(name, ": largest value ", header.largest, ": expected 1..65535");
  header.data = reader.after_blank();
  return header;
}

}  // namespace

ImageSize pnm_size(std::span<const std::byte> file, const std::string& name) {
  const Header header = read_header(file, name);
  return {static_cast<int>(header.width), static_cast<int>(header.height), false};
}

Image decode_pnm(std::span<const std::byte> file, const std::string& name, int channels) {
  const Header header = read_header(file, name);
  Image image{static_cast<int>(header.width), static_cast<int>(header.height), header.channels, {}};
  const size_t values = static_cast<size_t>(header.width * header.height * header.channels), width = header.largest > 255 ? 2 : 1;
  if (file.size() - header.data < values * width)
    fail(name, ": damaged PPM or PGM: ", file.size() - header.data, " bytes of pixels: expected ", values * width);
  image.pixels.resize(values);
  const std::byte* from = file.data() + header.data;
  const auto largest = static_cast<uint32_t>(header.largest);
  for (size_t i = 0; i < values; ++i) {
    uint32_t value = std::to_integer<uint32_t>(from[i * width]);
    if (width == 2) value = value << 8 | std::to_integer<uint32_t>(from[i * 2 + 1]);
    image.pixels[i] = largest == 255 ? static_cast<uint8_t>(value) : static_cast<uint8_t>((std::min(value, largest) * 255 + largest / 2) / largest);
  }
  return to_channels(std::move(image), channels);
}

}  // namespace dn::detail
