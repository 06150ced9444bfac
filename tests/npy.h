// Reads the reference arrays of the golden tests: NumPy's .npy format (versions 1 and 2), little-endian float32, C order; anything else is an Error.
// Layout of the file: "\x93NUMPY", version, header length, a header like {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }, data.
#pragma once

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/numbers.h"

namespace dn::testing {

struct Npy {
  std::vector<int> shape;
  std::vector<float> data;
  int dim(size_t axis) const { return axis < shape.size() ? shape[axis] : 1; }
};

namespace npy_detail {

// The text of 'key': up to the comma or bracket that ends it.
inline std::string_view value_of(std::string_view header, std::string_view key, const std::string& place) {
  const size_t at = header.find(key);
  if (at == std::string_view::npos) fail(place, ": the header lacks ", key);
  size_t begin = header.find(':', at);
  if (begin == std::string_view::npos) fail(place, ": the header lacks a value of ", key);
  begin = header.find_first_not_of(' ', begin + 1);
  if (begin == std::string_view::npos) fail(place, ": the header lacks a value of ", key);
  const size_t end = header[begin] == '(' ? header.find(')', begin) : header.find_first_of(",}", begin);
  if (end == std::string_view::npos) fail(place, ": the header is cut short");
  return trim(header.substr(begin, end - begin));
}

}  // namespace npy_detail

inline Npy read_npy(const fs::path& path) {
  static_assert(std::endian::native == std::endian::little);
  const std::string place = path.string();
  const std::string file = read_text(path, 1ull << 30);
  if (file.size() < 12 || file.compare(0, 6, "\x93NUMPY") != 0) fail(place, ": not a .npy file");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(file[i])); };
  const size_t version = byte(6);
  if (version != 1 && version != 2) fail(place, ": .npy version ", version, ": expected 1 or 2");
  const size_t length = version == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  const size_t start = (version == 1 ? 10 : 12) + length;
  if (start > file.size()) fail(place, ": the header is cut short");
  const std::string_view header = std::string_view(file).substr(start - length, length);
  if (npy_detail::value_of(header, "'descr'", place) != "'<f4'") fail(place, ": expected little-endian float32 ('<f4')");
  if (npy_detail::value_of(header, "'fortran_order'", place) != "False") fail(place, ": expected C order");
  std::string_view shape = npy_detail::value_of(header, "'shape'", place);
  shape.remove_prefix(1);  // the bracket
  Npy array;
  size_t count = 1;
  for (std::string_view part : split(shape, ',')) {
    part = trim(part);
    if (part.empty()) continue;  // (3,) ends with a comma
    const auto extent = parse_integer(part);
    if (!extent || *extent < 0 || *extent > 1 << 30) fail(place, ": shape (", shape, "): expected whole numbers");
    array.shape.push_back(static_cast<int>(*extent));
    count = checked_product({count, static_cast<size_t>(*extent)});
  }
  if (file.size() - start != checked_product({count, sizeof(float)}))
    fail(place, ": ", file.size() - start, " bytes of data; the shape needs ", count, " floats");
  array.data.resize(count);
  if (count) std::memcpy(array.data.data(), file.data() + start, count * sizeof(float));
  return array;
}

}  // namespace dn::testing
