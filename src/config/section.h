// The text side of a cfg: sections, keys with their lines, and the list of problems found in one reading.
//
// Syntax (compatibility.md of the darknet family): `[name]` opens a section; `key = value`; blanks anywhere in a line are dropped; lines that start
// with # or ; are comments, and so is everything from a # inside a value. CRLF, a BOM and a missing last newline are harmless.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace dn {

struct Entry {
  std::string key, value;
  int line = 0;
};

struct Section {
  std::string file;
  int line = 0;      // of the [name]
  std::string type;  // lower case, without brackets, aliases resolved ("conv" -> "convolutional")
  std::vector<Entry> entries;
  mutable std::vector<std::string_view> known;  // names some key table asked for; the rest is reported by finish()

  const Entry* find(std::string_view key) const;
  std::string where() const;                    // cfg/y.cfg:13: [convolutional]
  std::string where(const Entry& entry) const;  // cfg/y.cfg:14: [convolutional] size = 0
};

// Collects everything wrong with a file so that the user sees it in one run, as from a compiler. The same text is kept once; after 100 the rest
// is only counted, so a file of rubbish costs neither memory nor a flooded screen.
class Problems {
 public:
  void error(std::string message);  // complete text, place first
  void warning(std::string message);
  // PLACE: PROBLEM; expected EXPECTED. Either of the two may be empty.
  void error(const Section& section, const Entry& entry, std::string_view problem, std::string_view expected = {});
  bool failed() const { return !errors_.empty(); }
  const std::vector<std::string>& errors() const { return errors_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  // Prints the warnings through log::warn (once); throws Error with all errors, one a line in the order of the file, when there is any.
  void settle();

 private:
  std::vector<std::string> errors_, warnings_;
  int64_t more_errors_ = 0, more_warnings_ = 0;  // beyond the limit
};

inline constexpr uint64_t kMaxCfgFile = 16ull << 20;
inline constexpr size_t kMaxSections = 10000, kMaxKeys = 1000;  // sections of a file, keys of a section

// A key that stands in line `first` already.
void warn_of_second(const Section& section, const Entry& entry, int first, Problems& problems);

// A value as a message may show it: control characters replaced, cut after about 100 bytes.
std::string shown(std::string_view text);

// Splits a cfg into sections. Syntax errors go to `problems`. Throws Error when the file cannot be read. Unless the result is empty, [net] is its
// first section and its only one; when the file has none (a problem), an empty [net] with line 0 stands in.
std::vector<Section> read_sections(const fs::path& path, Problems& problems);
std::vector<Section> parse_sections(std::string_view text, const std::string& file, Problems& problems);

}  // namespace dn
