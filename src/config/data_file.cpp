// Reading .data and .names files. A .data file is `key = value` lines like one section of a cfg, but blanks inside a value stay: paths have them.
#include "config/data_file.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "config/keys.h"

namespace dn {
namespace {

constexpr uint64_t kMaxDataFile = 1ull << 20;
constexpr std::string_view kEvals[] = {"voc", "coco", "bdd", "kitti", "imagenet"};

struct Written : DataFile {
  std::string labels;
};

constexpr Key<Written> kKeys[] = {
    {"train", &Written::train, 0, 0, "list of training pictures, one path a line"},
    {"valid", &Written::valid, 0, 0, "list of validation pictures; without it: train"},
    {"names", &Written::names, 0, 0, "class names, one a line"},
    {"labels", &Written::labels, 0, 0, "another word for names"},
    {"backup", &Written::backup, 0, 0, "folder of the weights written in training"},
    {"results", &Written::results, 0, 0, "folder of `detector valid`"},
    {"eval", &Written::eval, 0, 0, "format of `detector valid`", kEvals},
    {"difficult", &Written::difficult, 0, 0, "second picture list, parallel to valid, of the difficult boxes"},
    {"map", &Written::map, 0, 0, "class numbers of `detector valid`, one a line"},
    {"classes", &Written::classes, 1, 1000000, "number of classes"},
    {"saveweights", &Written::saveweights, 1, 2147483647, "iterations between numbered weights"},
    {"savelast", &Written::savelast, 1, 2147483647, "iterations between _last weights"},
};
// Written in the .data files of classifiers.
constexpr ForeignKey kForeign[] = {{"top", "*"}};

// A path may hold a #, so a comment behind a value needs a blank before it.
std::string_view without_comment(std::string_view value) {
  for (size_t at = value.find('#'); at != std::string_view::npos; at = value.find('#', at + 1))
    if (at == 0 || value[at - 1] == ' ' || value[at - 1] == '\t') return trim(value.substr(0, at));
  return value;
}

void read_entry(Section& section, std::string_view text, int line, Problems& problems) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) return problems.error(concat(section.file, ":", line, ": ", shown(text), ": expected key = value"));
  Entry entry{std::string(trim(text.substr(0, equals))), std::string(without_comment(trim(text.substr(equals + 1)))), line};
  if (entry.key.empty()) return problems.error(concat(section.file, ":", line, ": ", shown(text), ": no key before the =; expected key = value"));
  if (entry.value.empty()) return problems.error(section, entry, "no value", "key = value");
  if (const Entry* other = section.find(entry.key))
    return warn_of_second(section, entry, other->line, problems);
  if (section.entries.size() >= kMaxKeys) fail(section.file, ":", line, ": more than ", kMaxKeys, " keys");
  section.entries.push_back(std::move(entry));
}

// Lines of a text file; a NUL says that it is something else.
std::vector<std::string> text_lines(const fs::path& path, uint64_t limit) {
  std::vector<std::string> lines = read_lines(path, limit);
  for (size_t i = 0; i < lines.size(); ++i)
    if (lines[i].find('\0') != std::string::npos) fail(path.string(), ":", i + 1, ": NUL byte; expected a text file in UTF-8");
  return lines;
}

}  // namespace

DataFile read_data_file(const fs::path& path) {
  Problems problems;
  Section section{path.string(), 1, {}, {}, {}};
  const std::vector<std::string> lines = text_lines(path, kMaxDataFile);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view text = trim(lines[i]);
    if (!text.empty() && text[0] != '#' && text[0] != ';') read_entry(section, text, static_cast<int>(i) + 1, problems);
  }
  Written data = bind<Written>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  if (section.entries.empty() && !problems.failed()) problems.error(concat(path.string(), ": empty; expected lines like train = data/train.txt"));
  problems.settle();
  data.file = path.string();
  if (data.valid.empty()) data.valid = data.train;
  if (data.names.empty()) data.names = data.labels;
  return data;
}

fs::path resolve_path(std::string_view written, const fs::path& near) {
  const fs::path path(written);
  if (path.empty() || path.is_absolute()) return path;
  const fs::path beside = near.parent_path() / path;
  std::error_code code;
  if (!fs::exists(beside, code) && fs::exists(path, code)) return path;
  return beside;
}

std::vector<std::string> read_names(const fs::path& path) {
  std::vector<std::string> names = text_lines(path, kMaxTextFile);
  for (std::string& name : names) name = std::string(trim(name));
  while (!names.empty() && names.back().empty()) names.pop_back();
  if (names.empty()) fail(path.string(), ": no names; expected one class name a line");
  return names;
}

}  // namespace dn
