#include "train/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "config/section.h"

namespace dn {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

constexpr size_t kLength = sizeof(uint64_t);
constexpr std::string_view kMetadata = "__metadata__";

// The number of floats of a shape; nothing when it or its bytes overflow 64 bits.
std::optional<uint64_t> float_bytes(const std::vector<size_t>& shape) {
  uint64_t bytes = sizeof(float);
  for (const size_t side : shape)
    if (__builtin_mul_overflow(bytes, uint64_t{side}, &bytes)) return std::nullopt;
  return bytes;
}

// Takes the header's JSON as events, so that nesting, double keys and anything unexpected are refused where they stand and nothing is built of them.
// Every function returns true: what is wrong leaves by an Error.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(SafetensorsHeader& out, const std::string& file) : out_(out), file_(file) {}

  bool start_object(size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = name_ == kMetadata ? Place::metadata : Place::tensor;
      if (place_ == Place::tensor) out_.tensors.push_back({name_, {}, 0, 0});
      fields_ = 0;
    } else {
      refuse("an object");
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::tensor && fields_ != (kDtype | kShape | kOffsets)) bad("expected dtype, shape and data_offsets");
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }
  bool key(std::string& text) override {
    if (place_ == Place::top) {
      name_ = text;
      if (!names_.insert(text).second) bad("stands twice; expected each name once");
    } else if (place_ == Place::metadata) {
      key_ = text;
      if (out_.metadata.contains(text)) bad(concat("key ", shown(text), " stands twice; expected each key once"));
    } else {
      field_ = text == "dtype" ? kDtype : text == "shape" ? kShape : text == "data_offsets" ? kOffsets : 0;
      if (field_ == 0) bad(concat("field ", shown(text), "; expected dtype, shape and data_offsets"));
      if (fields_ & field_) bad(concat(text, " stands twice; expected each field once"));
      fields_ |= field_;
    }
    return true;
  }
  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      out_.metadata.emplace(key_, text);
    } else if (place_ == Place::tensor && field_ == kDtype) {
      if (text != "F32") bad(concat("dtype ", shown(text), "; expected F32 (convert the file first)"));
    } else {
      refuse("text");
    }
    return true;
  }
  bool start_array(size_t) override {
    if (place_ != Place::tensor || field_ == kDtype) refuse("a list");
    place_ = Place::list;
    offsets_ = 0;
    return true;
  }
  bool end_array() override {
    if (field_ == kOffsets && offsets_ != 2) bad(concat("data_offsets has ", offsets_, " numbers; expected begin and end"));
    place_ = Place::tensor;
    return true;
  }
  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::list) refuse("a number");
    TensorEntry& tensor = out_.tensors.back();
    if (field_ == kShape) {
      if (tensor.shape.size() == kMaxTensorRank) bad(concat("shape has more than ", kMaxTensorRank, " sides"));
      tensor.shape.push_back(value);
    } else {
      if (offsets_ == 2) bad("data_offsets has more than two numbers; expected begin and end");
      (offsets_++ == 0 ? tensor.begin : tensor.end) = value;
    }
    return true;
  }
  bool number_integer(int64_t) override { return refuse("a negative number"); }
  bool number_float(double, const std::string&) override { return refuse("a number that is not whole or too large"); }
  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("true or false"); }
  bool binary(nlohmann::json::binary_t&) override { return refuse("bytes"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(file_, ": header: not JSON at byte ", kLength + position, " of the file");
  }

 private:
  enum class Place { outside, top, metadata, tensor, list };
  enum Field { kDtype = 1, kShape = 2, kOffsets = 4 };  // bits of fields_

  [[noreturn]] void bad(std::string_view problem) const {
    fail(file_, ": header: ", name_.empty() ? "" : concat(name_ == kMetadata ? "" : "tensor ", shown(name_), ": "), problem);
  }
  [[noreturn]] bool refuse(std::string_view found) const {
    const std::string_view expected = place_ == Place::metadata ? "text, as everything in __metadata__"
                                      : place_ == Place::tensor ? "dtype as text, shape and data_offsets as lists of whole numbers"
                                      : place_ == Place::list   ? "whole numbers"
                                                                : "an object of objects";
    bad(concat(found, "; expected ", expected));
  }

  SafetensorsHeader& out_;
  const std::string& file_;
  Place place_ = Place::outside;
  std::string name_, key_;  // the last ones of the top and of the metadata
  std::unordered_set<std::string> names_;
  int field_ = 0, fields_ = 0;
  size_t offsets_ = 0;
};

void check_places(SafetensorsHeader& header, uint64_t bytes_behind, const std::string& file) {
  uint64_t next = 0;
  std::stable_sort(header.tensors.begin(), header.tensors.end(),
                   [](const TensorEntry& a, const TensorEntry& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  for (const TensorEntry& tensor : header.tensors) {
    const std::string place = concat(file, ": header: tensor ", shown(tensor.name), ": data_offsets [", tensor.begin, ", ", tensor.end, "]");
    if (tensor.end < tensor.begin || tensor.end > bytes_behind) fail(place, "; expected a part of the ", bytes_behind, " bytes behind the header");
    if (tensor.begin != next) fail(place, "; expected them to begin at ", next, ", where the tensor before ends");
    const std::optional<uint64_t> bytes = float_bytes(tensor.shape);
    if (!bytes || *bytes != tensor.end - tensor.begin)
      fail(place, "; expected ", bytes ? concat(*bytes) : "more than 2^64", " bytes for F32 of shape ", shape_text(tensor.shape));
    next = tensor.end;
  }
  if (next != bytes_behind) fail(file, ": ", bytes_behind, " bytes behind the header; expected the ", next, " of its tensors");
}

}  // namespace

void SafetensorsHeader::add(std::string name, std::vector<size_t> shape) {
  const uint64_t begin = tensors.empty() ? 0 : tensors.back().end, bytes = float_bytes(shape).value();
  tensors.push_back({std::move(name), std::move(shape), begin, begin + bytes});
}

std::string shape_text(const std::vector<size_t>& shape) {
  std::string text;
  for (const size_t side : shape) text += concat(text.empty() ? "" : ", ", side);
  return concat("[", text, "]");
}

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t bytes_behind, const std::string& file) {
  // The parser below takes a NUL for the end of the text.
  if (!text.starts_with('{') || text.find('\0') != std::string_view::npos) fail(file, ": header: expected JSON that begins with {");
  SafetensorsHeader header;
  HeaderReader reader(header, file);
  nlohmann::json::sax_parse(text, &reader);
  check_places(header, bytes_behind, file);
  header.data = kLength + text.size();
  return header;
}

SafetensorsHeader read_safetensors_header(const InputFile& file) {
  const std::string name = file.path().string();
  uint64_t length = 0;
  if (file.read(0, &length, kLength) < kLength) fail(name, ": ", file.size(), " bytes; expected a .safetensors file, which has at least 10");
  if (length > kMaxSafetensorsHeader || length > file.size() - kLength)
    fail(name, ": a header of ", length, " bytes in a file of ", file.size(), "; expected a .safetensors file, with a header of at most ",
         bytes_text(kMaxSafetensorsHeader));
  std::string text(length, ' ');
  if (file.read(kLength, text.data(), length) < length) fail(name, ": became shorter while it was read");
  return parse_safetensors_header(text, file.size() - kLength - length, name);
}

std::string safetensors_header_bytes(const SafetensorsHeader& header) {
  const auto quoted = [](const std::string& text) { return json_text(nlohmann::json(text)); };
  std::string text;
  for (const auto& [key, value] : header.metadata) text += concat(text.empty() ? "" : ",", quoted(key), ":", quoted(value));
  text = concat("{\"", kMetadata, "\":{", text, "}");
  for (const TensorEntry& tensor : header.tensors) {
    std::string shape;
    for (const size_t side : tensor.shape) shape += concat(shape.empty() ? "" : ",", side);
    text += concat(",", quoted(tensor.name), ":{\"dtype\":\"F32\",\"shape\":[", shape, "],\"data_offsets\":[", tensor.begin, ",", tensor.end, "]}");
  }
  text += '}';
  text.resize((text.size() + kLength - 1) / kLength * kLength, ' ');
  const uint64_t length = text.size();
  std::string bytes(kLength, '\0');
  std::memcpy(bytes.data(), &length, kLength);
  return bytes + text;
}

}  // namespace dn
