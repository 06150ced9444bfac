// Reading a cfg as text: lines -> sections and entries with their line numbers, and the list of problems.
#include "config/section.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/compat.h"

namespace dn {
namespace {

constexpr size_t kMaxProblems = 100;
constexpr size_t kMaxShown = 100;  // bytes of a value in a message

void keep(std::vector<std::string>& list, int64_t& more, std::string message) {
  if (list.size() >= kMaxProblems) {
    ++more;
  } else if (std::find(list.begin(), list.end(), message) == list.end()) {
    list.push_back(std::move(message));
  }
}

// The number in "FILE:12: ...", 0 without one. FILE may hold colons, but hardly one before a number and another colon.
int64_t line_of(std::string_view message) {
  for (size_t at = message.find(':'); at != std::string_view::npos; at = message.find(':', at + 1)) {
    const size_t end = message.find(':', at + 1);
    if (end == std::string_view::npos) break;
    if (const std::optional<int64_t> line = parse_integer(message.substr(at + 1, end - at - 1))) return *line;
  }
  return 0;
}

}  // namespace

// Published cfg files have such keys, so it is no error; with -strict it is.
void warn_of_second(const Section& section, const Entry& entry, int first, Problems& problems) {
  const std::string message = concat(section.where(entry), ": ignored: the key stands in line ", first, " already, and the first one counts");
  strict_keys() ? problems.error(message) : problems.warning(message);
}

namespace {

class Parser {
 public:
  Parser(const std::string& file, Problems& problems) : file_(file), problems_(problems) {}

  std::vector<Section> run(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (!is_text(text)) return {};
    while (!text.empty() && !stopped_) {
      const size_t end = text.find('\n');
      ++line_;
      read_line(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    if (sections_.empty() && !problems_.failed()) problems_.error(concat(file_, ": no section; expected [net] first"));
    return in_order();
  }

 private:
  std::string place() const { return concat(file_, ":", line_, ": "); }

  // A NUL means a weights file, an image or UTF-16: reading on would only bury the user in messages.
  bool is_text(std::string_view text) {
    const size_t at = text.find('\0');
    if (at == std::string_view::npos) return true;
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    problems_.error(concat(file_, ":", line, ": NUL byte; expected a text file in UTF-8"));
    return false;
  }

  void read_line(std::string_view raw) {
    std::string text;
    text.reserve(raw.size());
    for (char c : raw)
      if (c != ' ' && c != '\t' && c != '\r' && c != '\v' && c != '\f') text += c;
    if (text.empty() || text[0] == '#' || text[0] == ';') return;
    text.resize(std::min(text.size(), text.find('#')));
    if (text[0] == '[')
      open_section(text);
    else
      read_entry(text, trim(raw));
  }

  void open_section(std::string_view text) {
    if (sections_.size() >= kMaxSections) return stop(concat(place(), "more than ", kMaxSections, " sections"));
    const size_t close = text.find(']');
    const std::string_view name = text.substr(1, close == std::string_view::npos ? close : close - 1);
    if (close == std::string_view::npos)
      problems_.error(concat(place(), shown(text), ": no closing ]; expected [section]"));
    else if (close + 1 != text.size())
      problems_.error(concat(place(), shown(text), ": text after the ]; expected [section] alone on its line"));
    else if (name.empty())
      problems_.error(concat(place(), "[]: no name; expected [section]"));
    Section section{file_, line_, std::string(section_type(lower(name))), {}, {}};
    check_order(section, name);
    sections_.push_back(std::move(section));
    seen_.clear();
  }

  void check_order(const Section& section, std::string_view written) {
    if (sections_.empty() && section.type != "net")
      problems_.error(concat(place(), "[", shown(written), "]: stands first; expected [net] as the first section"));
    else if (section.type == "net" && net_line_ > 0)
      problems_.error(concat(place(), "[", shown(written), "]: there is one in line ", net_line_, " already; expected one [net] in a file"));
    if (section.type == "net" && net_line_ == 0) net_line_ = line_;
  }

  // What follows shall find one [net], in front, so that a misplaced or missing one (already reported) is not reported again by all the rest.
  std::vector<Section> in_order() {
    if (sections_.empty()) return {};
    std::vector<Section> ordered{{file_, 0, "net", {}, {}}};
    for (Section& section : sections_) {
      if (section.type != "net")
        ordered.push_back(std::move(section));
      else if (ordered[0].line == 0)
        ordered[0] = std::move(section);
    }
    return ordered;
  }

  void read_entry(std::string_view text, std::string_view raw) {
    const size_t equals = text.find('=');
    if (sections_.empty()) {
      problems_.error(concat(place(), shown(raw), ": stands before the first section; expected [net] above it"));
      return;
    }
    Section& section = sections_.back();
    const Section here{file_, line_, section.type, {}, {}};  // for messages: the section's name at this line
    if (equals == std::string_view::npos) return problems_.error(concat(here.where(), " ", shown(raw), ": expected key = value"));
    Entry entry{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)), line_};
    if (entry.key.empty()) return problems_.error(concat(here.where(), " ", shown(raw), ": no key before the =; expected key = value"));
    if (entry.value.empty()) return problems_.error(section, entry, "no value", "key = value");
    if (section.entries.size() >= kMaxKeys) return stop(concat(here.where(), ": more than ", kMaxKeys, " keys in one section"));
    if (const auto [other, fresh] = seen_.emplace(entry.key, line_); !fresh)
      return warn_of_second(section, entry, other->second, problems_);
    section.entries.push_back(std::move(entry));
  }

  void stop(std::string message) {
    problems_.error(std::move(message));
    stopped_ = true;
  }

  const std::string& file_;
  Problems& problems_;
  std::vector<Section> sections_;
  std::unordered_map<std::string, int> seen_;  // keys of the last section and their lines
  int line_ = 0, net_line_ = 0;
  bool stopped_ = false;
};

}  // namespace

std::string shown(std::string_view text) {
  std::string out(text.substr(0, kMaxShown));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  if (text.size() <= kMaxShown) return out;
  auto inside_a_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };  // UTF-8 continuation
  size_t end = kMaxShown;
  while (end > kMaxShown - 4 && inside_a_character(text[end])) --end;
  return concat(std::string_view(out).substr(0, end), "... (", text.size(), " characters)");
}

const Entry* Section::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key == key) return &entry;
  return nullptr;
}

// A .data file is one section without a name.
std::string Section::where() const { return type.empty() ? concat(file, ":", line) : concat(file, ":", line, ": [", shown(type), "]"); }

std::string Section::where(const Entry& entry) const {
  const std::string name = type.empty() ? std::string() : concat("[", shown(type), "] ");
  const std::string value = entry.value.empty() ? std::string() : concat(" ", shown(entry.value));
  return concat(file, ":", entry.line, ": ", name, shown(entry.key), " =", value);
}

void Problems::error(std::string message) { keep(errors_, more_errors_, std::move(message)); }

void Problems::warning(std::string message) { keep(warnings_, more_warnings_, std::move(message)); }

void Problems::error(const Section& section, const Entry& entry, std::string_view problem, std::string_view expected) {
  std::string message = concat(section.where(entry), ": ", problem);
  if (!problem.empty() && !expected.empty()) message += "; ";
  if (!expected.empty()) message += concat("expected ", expected);
  error(std::move(message));
}

void Problems::settle() {
  auto by_line = [](const std::string& a, const std::string& b) { return line_of(a) < line_of(b); };
  std::stable_sort(warnings_.begin(), warnings_.end(), by_line);
  std::stable_sort(errors_.begin(), errors_.end(), by_line);
  for (const std::string& warning : warnings_) log::warn(warning);
  if (more_warnings_ > 0) log::warn(concat("... and ", more_warnings_, " more warnings"));
  warnings_.clear();
  more_warnings_ = 0;
  if (!failed()) return;
  std::string message = join(errors_, "\n");
  if (more_errors_ > 0) message += concat("\n... and ", more_errors_, " more problems");
  throw Error(message);
}

std::vector<Section> read_sections(const fs::path& path, Problems& problems) {
  return parse_sections(read_text(path, kMaxCfgFile), path.string(), problems);
}

std::vector<Section> parse_sections(std::string_view text, const std::string& file, Problems& problems) { return Parser(file, problems).run(text); }

}  // namespace dn
