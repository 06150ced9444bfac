// Text helpers that do not depend on the locale: joining values into messages, strict number parsing, nearest names.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace dn {

namespace detail {
void append(std::string& out, double value);  // shortest form that reads back equal
inline void append(std::string& out, std::string_view text) { out += text; }
inline void append(std::string& out, const char* text) { out += text; }
inline void append(std::string& out, char c) { out += c; }
inline void append(std::string& out, bool value) { out += value ? "true" : "false"; }
void append(std::string& out, float value);
template <class T>
  requires std::is_integral_v<T>
void append(std::string& out, T value) {
  char buffer[32];
  auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, end);
}
}  // namespace detail

// Joins values into one string: concat("layer ", 3, ": ", 0.5).
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

std::string_view trim(std::string_view text);                          // blanks, tabs, CR, LF at both ends
std::vector<std::string_view> split(std::string_view text, char separator);  // keeps empty fields
std::string lower(std::string_view text);
std::string join(std::span<const std::string> parts, std::string_view separator);

// The whole text must be a number; nothing otherwise. `parse_real` accepts 1e-3, .1, +2 and refuses nan, inf and what overflows.
std::optional<int64_t> parse_integer(std::string_view text);
std::optional<double> parse_real(std::string_view text);
// "8G", "900M", "1.5G", "65536": bytes, units of 1024; nothing otherwise.
std::optional<size_t> parse_bytes(std::string_view text);

std::string fixed(double value, int digits);   // 0.50, never in exponent form
std::string bytes_text(double bytes);          // "512 B", "3.2 MiB"
std::string duration_text(double seconds);     // "43 s", "2 min 05 s", "3 h 12 min"
std::string hex_text(uint64_t value, int digits);

// The candidate within a third of the name's length (at least one edit), or empty. For "did you mean" hints.
std::string_view nearest_name(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace dn
