// Codecs: round trips, and every way in which an image file may be wrong.
#include "image/decode.h"

#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "data/test_folder.h"

namespace dn {
namespace {

using test::noise_image;
using test::plain_image;
using test::TestFolder;
using Bytes = std::vector<std::byte>;

Bytes bytes(std::string_view text) {
  return Bytes(reinterpret_cast<const std::byte*>(text.data()), reinterpret_cast<const std::byte*>(text.data() + text.size()));
}

Bytes encoded(const Image& image, std::string_view name, int quality = 92) {
  const TestFolder folder("encode");
  save_image(folder / name, image, quality);
  return read_bytes(folder / name, kMaxImageFile);
}

std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "(no error)";
}
std::string decode_error(const Bytes& file) {
  return error_of([&] { decode_image(file, "x.img"); });
}

void expect_holds(const std::string& text, std::string_view part) { EXPECT_NE(text.find(part), std::string::npos) << text; }

// Smooth, so that JPEG keeps it well.
Image gradient(int width, int height) {
  Image image{width, height, 3, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (const int v : {x * 255 / width, y * 255 / height, 128}) image.pixels.push_back(static_cast<uint8_t>(v));
  return image;
}

double largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i)
    largest = std::max(largest, std::abs(double(a.pixels[i]) - double(b.pixels[i])));
  return largest;
}

void append_big_endian(Bytes& to, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<std::byte>(value >> shift));
}

uint32_t crc(std::span<const std::byte> data) {
  uint32_t c = ~0u;
  for (const std::byte b : data) {
    c ^= std::to_integer<uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
  }
  return ~c;
}

void append_chunk(Bytes& png, std::string_view type, const Bytes& data) {
  append_big_endian(png, static_cast<uint32_t>(data.size()));
  const size_t start = png.size();
  for (const std::byte b : bytes(type)) png.push_back(b);
  png.insert(png.end(), data.begin(), data.end());
  append_big_endian(png, crc(std::span(png).subspan(start)));
}

Bytes png_of(uint32_t width, uint32_t height, const Bytes& compressed) {
  Bytes png = bytes("\x89PNG\r\n\x1A\n"), header;
  append_big_endian(header, width);
  append_big_endian(header, height);
  for (const int v : {8, 2, 0, 0, 0}) header.push_back(static_cast<std::byte>(v));
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", compressed);
  append_chunk(png, "IEND", {});
  return png;
}

// A zlib stream of `blocks` x 258 zero bytes at 13 bits each (fixed Huffman codes of RFC 1951).
Bytes zeros(size_t blocks) {
  Bytes out = bytes("\x78\x01");
  uint32_t pending = 0;
  int held = 0;
  const auto bit = [&](int value) {
    pending |= static_cast<uint32_t>(value) << held;
    if (++held == 8) {
      out.push_back(static_cast<std::byte>(pending));
      pending = 0;
      held = 0;
    }
  };
  for (const int v : {1, 1, 0, /* literal 0: */ 0, 0, 1, 1, 0, 0, 0, 0}) bit(v);
  for (size_t i = 0; i < blocks; ++i)
    for (const int v : {1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0}) bit(v);
  for (int i = 0; i < 16; ++i) bit(0);
  return out;
}

TEST(image, PngRoundTripIsExact) {
  for (const int channels : {1, 3}) {
    const Image image = noise_image(37, 23, channels, 1);
    const Image back = decode_image(encoded(image, "x.png"), "x.png", channels);
    EXPECT_EQ(back.width, 37);
    EXPECT_EQ(back.height, 23);
    EXPECT_EQ(back.channels, channels);
    EXPECT_EQ(back.pixels, image.pixels);
  }
}

TEST(image, JpegRoundTripIsClose) {
  for (const int quality : {80, 95}) {
    const Image image = gradient(120, 81);
    const Bytes file = encoded(image, "x.jpg", quality);
    const ImageSize size = read_image_size(file, "x.jpg");
    EXPECT_EQ(size.width, 120);
    EXPECT_EQ(size.height, 81);
    EXPECT_TRUE(size.scalable);
    EXPECT_LT(largest_difference(decode_image(file, "x.jpg"), image), 8);
  }
}

TEST(image, JpegDecodesShrunk) {
  const Bytes file = encoded(gradient(121, 80), "x.jpg");
  const Image full = decode_image(file, "x.jpg"), half = decode_image_shrunk(file, "x.jpg", 3, 2);
  ASSERT_EQ(half.width, 61);
  ASSERT_EQ(half.height, 40);
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 60; ++x)
      for (int c = 0; c < 3; ++c) {
        double mean = 0;
        for (int i = 0; i < 4; ++i) mean += full.pixels[static_cast<size_t>((2 * y + i / 2) * 121 * 3 + (2 * x + i % 2) * 3 + c)] / 4.0;
        ASSERT_NEAR(half.pixels[static_cast<size_t>((y * 61 + x) * 3 + c)], mean, 6);
      }
}

TEST(image, GrayAndColourConvert) {
  const Image gray = noise_image(9, 5, 1, 2);
  const Image colour = decode_image(encoded(gray, "g.png"), "g.png", 3);
  for (size_t i = 0; i < gray.pixels.size(); ++i)
    for (size_t c = 0; c < 3; ++c) ASSERT_EQ(colour.pixels[3 * i + c], gray.pixels[i]);
  const Image red = plain_image(16, 16, {255, 0, 0});
  for (const char* name : {"r.png", "r.jpg"}) {
    const Image back = decode_image(encoded(red, name), name, 1);
    EXPECT_EQ(back.pixels.size(), 256u);
    EXPECT_NEAR(back.pixels[100], 76, 2) << name;  // 0.299 x 255
  }
  EXPECT_EQ(decode_image(encoded(noise_image(8, 8, 1, 1), "g.jpg"), "g.jpg", 3).pixels.size(), 192u);
}

TEST(image, CmykJpegConverts) {
  // Adobe's inverted CMYK: 255 is no ink.
  std::vector<uint8_t> cmyk;
  for (int i = 0; i < 16 * 16; ++i) cmyk.insert(cmyk.end(), {255, 128, 0, 255});
  const tjhandle handle = tjInitCompress();
  unsigned char* data = nullptr;
  unsigned long size = 0;
  ASSERT_EQ(tjCompress2(handle, cmyk.data(), 16, 0, 16, TJPF_CMYK, &data, &size, TJSAMP_444, 100, 0), 0);
  const Bytes file(reinterpret_cast<std::byte*>(data), reinterpret_cast<std::byte*>(data) + size);
  tjFree(data);
  tjDestroy(handle);
  const Image image = decode_image(file, "cmyk.jpg");
  EXPECT_EQ(image.channels, 3);
  EXPECT_NEAR(image.pixels[0], 255, 4);
  EXPECT_NEAR(image.pixels[1], 128, 4);
  EXPECT_NEAR(image.pixels[2], 0, 4);
  EXPECT_EQ(decode_image(file, "cmyk.jpg", 1).pixels.size(), 256u);
}

TEST(image, PnmOfAllDepths) {
  const Image small = decode_image(bytes("P6 # a comment\n2\t1\n255\nabcdef"), "x.ppm");
  EXPECT_EQ(small.pixels, (std::vector<uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
  const Image scaled = decode_image(bytes(std::string("P5 3 1 4\n\0\2\4", 12)), "x.pgm", 1);
  EXPECT_EQ(scaled.pixels, (std::vector<uint8_t>{0, 128, 255}));
  const Image deep = decode_image(bytes(std::string("P5 2 1 65535\n\xFF\xFF\x80\x00", 17)), "x.pgm", 1);
  EXPECT_EQ(deep.pixels, (std::vector<uint8_t>{255, 128}));
}

TEST(image, BmpIsRead) {
  std::string bmp("BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x18\0", 30);
  bmp += std::string(24, '\0') + std::string("\1\2\3\4\5\6\0\0\7\10\11\12\13\14\0\0", 16);
  const Image image = decode_image(bytes(bmp), "x.bmp");
  EXPECT_EQ(image.pixels, (std::vector<uint8_t>{9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4}));  // bottom row first, BGR
  expect_holds(decode_error(bytes(bmp.substr(0, 60))), "damaged BMP");
}

TEST(image, WrongFilesAreNamed) {
  expect_holds(decode_error({}), "x.img: not an image: the file is empty");
  expect_holds(decode_error(bytes("<html><body>404 Not Found</body></html>")), "it is a text file");
  expect_holds(decode_error(bytes("GIF89a.............")), "it is a GIF; expected JPEG, PNG, BMP, PPM or PGM");
  expect_holds(decode_error(bytes(std::string("RIFF\0\0\0\0WEBPVP8 ", 16))), "it is a WebP");
  expect_holds(decode_error(bytes(std::string("II*\0\0\0\0\0", 8))), "it is a TIFF");
  expect_holds(decode_error(bytes(std::string("\1\2\3\4", 4))), "no image format we know");
  expect_holds(decode_error(bytes("\xFF\xD8\xFF")), "not a readable JPEG");
  expect_holds(error_of([] { load_image("/nonexistent/a.jpg"); }), "/nonexistent/a.jpg: cannot open");
  expect_holds(error_of([] { load_image("/"); }), "directory");
}

TEST(image, TruncationIsAnError) {
  const Image image = noise_image(64, 48, 3, 3);
  for (const char* name : {"x.jpg", "x.png"}) {
    const Bytes file = encoded(image, name);
    for (const double part : {0.1, 0.5, 0.9, 0.99}) {
      const Bytes cut(file.begin(), file.begin() + static_cast<long>(part * static_cast<double>(file.size())));
      EXPECT_NE(decode_error(cut), "(no error)") << name << " " << part;
    }
    EXPECT_EQ(decode_error(file), "(no error)");
  }
  expect_holds(decode_error(bytes("P6 2 2 255\nabc")), "3 bytes of pixels: expected 12");
  expect_holds(decode_error(bytes("P6 2 ")), "no height");
}

TEST(image, StrayBytesAtAJpegsEndAreHarmless) {
  Bytes file = encoded(gradient(40, 40), "x.jpg");
  const Image whole = decode_image(file, "x.jpg");
  file.insert(file.end() - 2, 5, std::byte{0});
  EXPECT_EQ(decode_image(file, "x.jpg").pixels, whole.pixels);
  file.insert(file.end(), 100, std::byte{7});
  EXPECT_EQ(decode_image(file, "x.jpg").pixels, whole.pixels);
}

TEST(image, DamagedJpegIsAnError) {
  Bytes file = encoded(noise_image(64, 64, 3, 4), "x.jpg");
  for (size_t i = file.size() / 2; i < file.size() / 2 + 200; ++i) file[i] = std::byte{0xFF};
  expect_holds(decode_error(file), "damaged JPEG");
}

// A damaged header must not leave anything behind in the decoder that this thread uses for the next file.
TEST(image, SoundJpegsDecodeAfterDamagedOnes) {
  const Bytes sound = encoded(gradient(40, 40), "x.jpg");
  const Image expected = decode_image(sound, "x.jpg");
  for (size_t at = 2; at < sound.size(); at += at < 700 ? 1 : 37) {
    Bytes damaged = sound;
    damaged[at] ^= std::byte{0xF0};
    decode_error(damaged);
    decode_error(Bytes(sound.begin(), sound.begin() + static_cast<long>(at)));
    ASSERT_EQ(decode_error(sound), "(no error)") << at;
    ASSERT_EQ(decode_image(sound, "x.jpg").pixels, expected.pixels) << at;
  }
}

TEST(image, WrongPngChecksumIsAnError) {
  Bytes file = encoded(noise_image(20, 20, 3, 5), "x.png");
  file[file.size() / 2] ^= std::byte{1};
  expect_holds(decode_error(file), "wrong checksum");
}

TEST(image, DecompressionBombsAreRefused) {
  expect_holds(decode_error(bytes("P6 65535 65535 255\n")), "65535 x 65535: expected sides up to 16384");
  expect_holds(decode_error(bytes("P6 16384 16384 255\n")), "at most 100000000 pixels");
  expect_holds(decode_error(bytes("P6 0 5 255\n")), "0 x 5");
  Bytes jpeg = encoded(gradient(40, 40), "x.jpg");
  const std::array marker{std::byte{0xFF}, std::byte{0xC0}};
  const auto sof = std::search(jpeg.begin(), jpeg.end(), marker.begin(), marker.end());
  ASSERT_NE(sof, jpeg.end());
  std::fill(sof + 5, sof + 9, std::byte{0x80});
  expect_holds(decode_error(jpeg), "32896 x 32896: expected sides up to 16384");
  EXPECT_NE(decode_error(png_of(100000, 100000, zeros(1))), "(no error)");
  // One pixel that expands to 100 MB: the decoder's memory is capped near what one pixel needs.
  expect_holds(decode_error(png_of(1, 1, zeros(400'000))), "damaged PNG");
  EXPECT_EQ(decode_error(png_of(80, 1, zeros(1))), "(no error)");  // the stream itself is sound: 240 bytes and the filter byte are needed
}

// Damaged files throw Error or decode to something; they never crash (run with the sanitizers).
TEST(image, MutatedFilesNeverCrash) {
  std::vector<Bytes> seeds{encoded(noise_image(24, 17, 3, 6), "a.jpg"), encoded(noise_image(19, 8, 3, 7), "a.png"),
                           bytes("P6 4 4 255\n" + std::string(48, 'x'))};
  std::string bmp("BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x18\0", 30);
  seeds.push_back(bytes(bmp + std::string(200, '\3')));
  Rng rng(9, RandomUse::test);
  int decoded = 0, refused = 0;
  for (int round = 0; round < 4000; ++round) {
    Bytes file = seeds[static_cast<size_t>(round) % seeds.size()];
    const uint32_t changes = 1 + rng.below(4);
    for (uint32_t i = 0; i < changes; ++i) file[rng.below(static_cast<uint32_t>(file.size()))] = static_cast<std::byte>(rng.next() >> 24);
    if (round % 4 == 1)  // make the checksums right again, or the damage would never reach the decoder
      for (size_t at = 8; at + 12 <= file.size();) {
        size_t length = 0;
        for (size_t i = 0; i < 4; ++i) length = length << 8 | std::to_integer<size_t>(file[at + i]);
        if (length > file.size() - at - 12) break;
        Bytes sum;
        append_big_endian(sum, crc(std::span(file).subspan(at + 4, length + 4)));
        std::copy(sum.begin(), sum.end(), file.begin() + static_cast<long>(at + 8 + length));
        at += length + 12;
      }
    (decode_error(file) == "(no error)" ? decoded : refused)++;
  }
  EXPECT_GT(decoded, 100);
  EXPECT_GT(refused, 100);
}

TEST(image, SaveRefusesOtherFormats) {
  const TestFolder folder("save");
  expect_holds(error_of([&] { save_image(folder / "x.gif", plain_image(2, 2, {1, 2, 3})); }), "written as .jpg, .jpeg or .png");
  expect_holds(error_of([&] { save_image(folder / "none" / "x.png", plain_image(2, 2, {1, 2, 3})); }), "cannot write");
}

}  // namespace
}  // namespace dn
