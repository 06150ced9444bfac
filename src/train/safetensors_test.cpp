// The safetensors format: what is written reads back, and every kind of header that must be refused. No networks here.
#include "train/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"

namespace dn {
namespace {

constexpr std::string_view kGood =
    R"({"__metadata__":{"a":"b"},"x":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"y":{"shape":[],"data_offsets":[24,28],"dtype":"F32"}}  )";
constexpr uint64_t kBytes = 28;

std::string refusal(std::string_view text, uint64_t bytes = kBytes) {
  try {
    parse_safetensors_header(text, bytes, "f.safetensors");
  } catch (const Error& e) {
    EXPECT_TRUE(std::string_view(e.what()).starts_with("f.safetensors: ")) << e.what();
    return e.what();
  }
  return {};
}

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kGood);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(safetensors, reads_a_header) {
  const SafetensorsHeader header = parse_safetensors_header(kGood, kBytes, "f");
  EXPECT_EQ(header.data, 8 + kGood.size());
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "x");
  EXPECT_EQ(header.tensors[0].shape, (std::vector<size_t>{2, 3}));
  EXPECT_EQ(header.tensors[0].end, 24u);
  EXPECT_TRUE(header.tensors[1].shape.empty());
  EXPECT_EQ(header.metadata.find("a")->second, "b");
  EXPECT_TRUE(parse_safetensors_header("{}", 0, "f").tensors.empty());
}

TEST(safetensors, the_order_of_the_names_is_free) {
  const std::string text =
      R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"none":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
      R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const SafetensorsHeader header = parse_safetensors_header(text, 12, "f");
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "none");
  EXPECT_EQ(header.tensors[1].name, "a");
  EXPECT_EQ(header.tensors[2].name, "b");
}

TEST(safetensors, what_is_written_reads_back) {
  SafetensorsHeader header;
  header.metadata = {{"quote \" and \\", "line\nend"}, {"b", ""}};
  header.add("0.convolutional.weights", {4, 3, 3, 3});
  header.add("0.convolutional.biases", {4});
  const std::string bytes = safetensors_header_bytes(header);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  ASSERT_EQ(bytes.size(), 8 + length);
  EXPECT_EQ(bytes.size() % 8, 0u);
  const SafetensorsHeader back = parse_safetensors_header(std::string_view(bytes).substr(8), 4 * (108 + 4), "f");
  EXPECT_EQ(back.metadata, header.metadata);
  EXPECT_EQ(back.data, bytes.size());
  ASSERT_EQ(back.tensors.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back.tensors[i].name, header.tensors[i].name);
    EXPECT_EQ(back.tensors[i].shape, header.tensors[i].shape);
    EXPECT_EQ(back.tensors[i].begin, header.tensors[i].begin);
    EXPECT_EQ(back.tensors[i].end, header.tensors[i].end);
  }
}

TEST(safetensors, other_precisions_are_refused_by_name) {
  for (const char* dtype : {"F64", "F16", "BF16", "I64", "f32", ""}) {
    const std::string message = refusal(replaced("F32", dtype));
    EXPECT_NE(message.find(concat("tensor x: dtype ", dtype, "; expected F32")), std::string::npos) << message;
  }
}

TEST(safetensors, places_that_do_not_fit_are_refused) {
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"[0,24]", "[0,25]", "data_offsets [0, 25]; expected 24 bytes for F32 of shape [2, 3]"},
      {"[0,24]", "[4,24]", "expected them to begin at 0"},
      {"[24,28]", "[20,24]", "expected them to begin at 24"},
      {"[24,28]", "[28,32]", "expected a part of the 28 bytes"},
      {"[24,28]", "[28,24]", "expected a part of the 28 bytes"},
      {"[24,28]", "[0,24]", "expected them to begin at 24"},
      {"[24,28]", "[24,18446744073709551615]", "expected a part of the 28 bytes"},
      {"[24,28]", "[24,28,32]", "more than two numbers"},
      {"[24,28]", "[24]", "has 1 numbers"},
      {"[24,28]", "[]", "has 0 numbers"},
      {"[2,3]", "[2,4294967296,4294967296]", "expected more than 2^64 bytes"},
      {"[2,3]", "[9223372036854775808,2]", "expected more than 2^64 bytes"},
      {"[2,3]", "[18446744073709551616]", "not whole or too large"},
      {"[2,3]", "[1,1,1,1,1,1,1,2,3]", "more than 8 sides"},
      {"[2,3]", "[2.0,3]", "not whole or too large"},
      {"[2,3]", "[-2,-3]", "a negative number"},
      {"[2,3]", "[1e99999]", "not JSON"},
      {"[2,3]", "[[2,3]]", "a list"},
      {"[2,3]", "\"2,3\"", "text"},
      {"[2,3]", "null", "null"},
      {"[2,3]", "[true]", "true or false"},
      {"[2,3]", "6", "a number"},
      {"\"F32\"", "[3]", "a list"},
  };
  for (const auto& c : cases) {
    const std::string message = refusal(replaced(c.from, c.to));
    EXPECT_NE(message.find(c.message), std::string::npos) << c.to << ": " << message;
  }
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{27}, uint64_t{29}, UINT64_MAX}) EXPECT_NE(refusal(kGood, bytes), "") << bytes;
}

TEST(safetensors, another_form_is_refused) {
  const struct {
    const char *from, *to, *message;
  } cases[] = {
      {"\"y\"", "\"x\"", "tensor x: stands twice"},
      {"\"y\"", "\"__metadata__\"", "__metadata__: stands twice"},
      {"\"a\":\"b\"", "\"a\":\"b\",\"a\":\"c\"", "key a stands twice"},
      {"\"a\":\"b\"", "\"a\":7", "expected text"},
      {"\"a\":\"b\"", "\"a\":{}", "expected text"},
      {"\"a\":\"b\"", "\"a\":[]", "expected text"},
      {"\"shape\":[2,3],", "\"shape\":[2,3],\"shape\":[2,3],", "shape stands twice"},
      {"\"shape\":[2,3],", "", "tensor x: expected dtype, shape and data_offsets"},
      {"\"shape\":[2,3],", "\"strides\":[2,3],", "field strides"},
      {"{\"a\":\"b\"}", "\"text\"", "expected an object of objects"},
      {"{\"a\":\"b\"}", "[]", "expected an object of objects"},
      {"  ", " {", "not JSON at byte"},
      {"  ", " \xff", "not JSON at byte"},
      {"\"x\"", "\"\xff\"", "not JSON at byte"},
      {"\"x\"", "x", "not JSON at byte"},
      {"\"x\"", "/*x*/\"x\"", "not JSON at byte"},
      {"{\"__", " {\"__", "begins with {"},
      {"{\"__", "\xEF\xBB\xBF{\"__", "begins with {"},
  };
  for (const auto& c : cases) {
    const std::string message = refusal(replaced(c.from, c.to));
    EXPECT_NE(message.find(c.message), std::string::npos) << c.to << ": " << message;
  }
  std::string text(kGood);
  text.back() = '\0';
  EXPECT_NE(refusal(text), "");
  for (const char* other : {"", "[]", "null", "7", "\"x\""}) EXPECT_NE(refusal(other, 0), "") << other;
}

TEST(safetensors, deep_nesting_is_refused_where_it_begins) {
  constexpr size_t kDeep = 2'000'000;
  std::string lists = R"({"x":{"shape":)", objects = "{";
  lists.append(kDeep, '[');
  for (size_t i = 0; i < kDeep; ++i) objects += "\"x\":{";
  for (const std::string& text : {lists, objects, std::string(kDeep, '{'), "{\"x\":" + std::string(kDeep, '[')}) EXPECT_NE(refusal(text), "");
}

TEST(safetensors, every_prefix_and_every_flipped_bit_ends_well) {
  for (size_t size = 0; size < kGood.size() - 2; ++size) EXPECT_NE(refusal(kGood.substr(0, size)), "") << size;  // but for the two blanks at the end
  size_t read = 0;
  for (size_t i = 0; i < 8 * kGood.size(); ++i) {
    std::string text(kGood);
    text[i / 8] = static_cast<char>(text[i / 8] ^ (1 << i % 8));
    read += refusal(text).empty();
  }
  EXPECT_GT(read, 0u);  // a letter of a name or of the metadata
  EXPECT_LT(read, kGood.size());
}

}  // namespace
}  // namespace dn
