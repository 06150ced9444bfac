#include "base/text.h"

#include <algorithm>
#include <cmath>

namespace dn {

namespace detail {
namespace {
template <class T>
void append_real(std::string& out, T value) {
  char buffer[64];
  auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, end);
}
}  // namespace
void append(std::string& out, double value) { append_real(out, value); }
void append(std::string& out, float value) { append_real(out, value); }
}  // namespace detail

std::string_view trim(std::string_view text) {
  const std::string_view blanks = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> fields;
  for (size_t from = 0;;) {
    const size_t at = text.find(separator, from);
    if (at == std::string_view::npos) {
      fields.push_back(text.substr(from));
      return fields;
    }
    fields.push_back(text.substr(from, at - from));
    from = at + 1;
  }
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string join(std::span<const std::string> parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i) out += separator;
    out += parts[i];
  }
  return out;
}

std::optional<int64_t> parse_integer(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  int64_t value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<double> parse_real(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  double value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::string fixed(double value, int digits) {
  char buffer[400];
  auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, digits);
  return code == std::errc() ? std::string(buffer, end) : concat(value);
}

std::optional<size_t> parse_bytes(std::string_view text) {
  double unit = 1;
  if (!text.empty()) {
    const size_t at = std::string_view("KMGT").find(static_cast<char>(text.back() & ~0x20));
    if (at != std::string_view::npos) unit = std::pow(1024.0, static_cast<double>(at + 1)), text.remove_suffix(1);
  }
  const std::optional<double> number = parse_real(text);
  if (!number || *number < 0 || *number * unit > 9e18) return std::nullopt;
  return static_cast<size_t>(*number * unit);
}

std::string bytes_text(double bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  int unit = 0;
  while (bytes >= 1024 && unit < 6) bytes /= 1024, ++unit;
  return concat(fixed(bytes, unit == 0 || bytes >= 100 ? 0 : 1), " ", units[unit]);
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const int64_t whole = std::llround(std::min(seconds, 1e15));
  auto two = [](int64_t v) { return concat(v < 10 ? "0" : "", v); };
  if (whole < 60) return concat(whole, " s");
  if (whole < 3600) return concat(whole / 60, " min ", two(whole % 60), " s");
  return concat(whole / 3600, " h ", two(whole % 3600 / 60), " min");
}

std::string hex_text(uint64_t value, int digits) {
  std::string out(static_cast<size_t>(digits), '0');
  for (int i = digits - 1; i >= 0; --i, value >>= 4) out[static_cast<size_t>(i)] = "0123456789abcdef"[value & 15];
  return out;
}

namespace {
// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before, last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
  }
  return last[b.size()];
}
}  // namespace

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates) {
  if (name.size() > 100) return {};
  size_t best = std::max<size_t>(2, name.size() / 3 + 1);
  std::string_view found;
  for (std::string_view candidate : candidates) {
    const size_t distance = edit_distance(name, candidate);
    if (distance < best) best = distance, found = candidate;
  }
  return found;
}

}  // namespace dn
