// For tests: a folder of its own, removed afterwards, and pictures to put into it.
#pragma once

#include <unistd.h>

#include <array>
#include <fstream>

#include "base/rng.h"
#include "base/text.h"
#include "image/image.h"

namespace dn::test {

struct TestFolder {
  fs::path path;
  explicit TestFolder(std::string_view name) : path(fs::temp_directory_path() / concat("dn_", name, "_", static_cast<int>(::getpid()))) {
    fs::remove_all(path);
    make_directories(path);
  }
  ~TestFolder() {
    std::error_code code;
    fs::remove_all(path, code);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  fs::path operator/(std::string_view name) const { return path / name; }
};

// Without the syncing of write_file, for tests that make many files.
inline void write_quickly(const fs::path& path, std::string_view text) { std::ofstream(path, std::ios::binary) << text; }

// A PPM file, for tests that make many pictures.
inline void write_quickly(const fs::path& path, const Image& image) {
  std::string text = concat("P6\n", image.width, " ", image.height, "\n255\n");
  text.append(image.pixels.begin(), image.pixels.end());
  write_quickly(path, text);
}

inline Image noise_image(int width, int height, int channels, uint64_t seed) {
  Image image{width, height, channels, {}};
  image.pixels.resize(image.row() * static_cast<size_t>(height));
  Rng rng(seed, RandomUse::test);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(rng.next() >> 24);
  return image;
}

inline Image plain_image(int width, int height, std::array<uint8_t, 3> colour) {
  Image image{width, height, 3, {}};
  image.pixels.resize(image.row() * static_cast<size_t>(height));
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = colour[i % 3];
  return image;
}

// Fills columns [left, right) of rows [top, bottom).
inline void fill_rectangle(Image& image, int left, int top, int right, int bottom, std::array<uint8_t, 3> colour) {
  for (int y = top; y < bottom; ++y)
    for (int x = left; x < right; ++x)
      for (size_t c = 0; c < 3; ++c) image.pixels[static_cast<size_t>(y) * image.row() + static_cast<size_t>(x) * 3 + c] = colour[c];
}

}  // namespace dn::test
