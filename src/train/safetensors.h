// The safetensors format, as a file and no more; what the tensors mean is said in tensor_weights.h.
//
//   uint64 length of the header, little-endian; the header, JSON that begins with { and may end in blanks; then the tensors' bytes.
//   {"__metadata__": {"key": "text", ...}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//
// Offsets count from the end of the header. The tensors lie one behind the other, nothing between them and nothing behind the last. Of the dtypes only
// F32 is read (little-endian): weights in another precision are to be converted by whoever wants that loss. A key stands once in its object.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace dn {

inline constexpr uint64_t kMaxSafetensorsHeader = 16ull << 20;  // the largest network that a cfg can describe needs less
inline constexpr size_t kMaxTensorRank = 8;

struct TensorEntry {
  std::string name;
  std::vector<size_t> shape;
  uint64_t begin = 0, end = 0;  // bytes behind the header
};

struct SafetensorsHeader {
  std::map<std::string, std::string, std::less<>> metadata;
  std::vector<TensorEntry> tensors;  // in the order of their bytes
  uint64_t data = 0;                 // where in the file they begin

  void add(std::string name, std::vector<size_t> shape);  // a tensor behind the last
};

// Throws Error naming the file and the tensor or the byte. What is read is checked whole; no tensor is looked at.
SafetensorsHeader read_safetensors_header(const InputFile& file);
// The same for the JSON text of a header and the number of bytes behind it; `file` is for messages.
SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t bytes_behind, const std::string& file);

// The beginning of a file, up to the first tensor's bytes, which are aligned to eight.
std::string safetensors_header_bytes(const SafetensorsHeader& header);

std::string shape_text(const std::vector<size_t>& shape);  // "[64, 32, 3, 3]"

}  // namespace dn
