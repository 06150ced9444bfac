#include "nn/head_keys.h"

#include "base/error.h"
#include "base/text.h"
#include "config/data_file.h"

namespace dn {

void report_key(const Section& section, std::string_view key, Problems& problems, std::string_view problem, std::string_view expected) {
  if (const Entry* entry = section.find(key))
    problems.error(section, *entry, problem, expected);
  else
    problems.error(concat(section.where(), ' ', key, ": ", problem, "; expected ", expected));
}

std::vector<AnchorSize> read_anchors(const Section& section, const std::vector<float>& numbers, int num, Problems& problems) {
  const size_t pairs = static_cast<size_t>(num);
  if (numbers.size() < 2 * pairs) {
    report_key(section, "anchors", problems, concat(numbers.size(), " numbers for num = ", num),
               concat(2 * pairs, ", width and height of each anchor"));
    return {};
  }
  if (numbers.size() > 2 * pairs)
    problems.warning(
        concat(section.where(), " anchors: ", numbers.size() - 2 * pairs, " numbers beyond num = ", num, " pairs are not used"));
  std::vector<AnchorSize> anchors;
  for (size_t i = 0; i < pairs; ++i) anchors.push_back({numbers[2 * i], numbers[2 * i + 1]});
  return anchors;
}

std::vector<int> read_class_map(const Section& section, const std::string& file, int classes, Problems& problems) {
  if (file.empty()) return {};
  std::vector<int> map;
  const fs::path path = resolve_path(file, section.file);
  try {
    int line = 0;
    for (const std::string& text : read_lines(path)) {
      ++line;
      if (trim(text).empty()) continue;
      const auto id = parse_integer(trim(text));
      if (!id || *id < 0 || *id >= classes)
        problems.error(concat(path.string(), ":", line, ": ", trim(text), ": expected a class of the head, 0..", classes - 1));
      else
        map.push_back(static_cast<int>(*id));
    }
  } catch (const Error& error) {
    report_key(section, "map", problems, error.what(), "a readable file with one class a line");
    return {};
  }
  if (map.empty()) report_key(section, "map", problems, "the file is empty", "one class a line");
  return map;
}

}  // namespace dn
