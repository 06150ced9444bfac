// Values: strict numbers, ranges, lists, choices; keys of the family without effect; unknown keys.
#include "config/keys.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace dn {
namespace {

constexpr double kUnbounded = 1e9;  // bounds from here on are only there to keep arithmetic safe; a message does not show them
bool strict = false;

bool bounded(double min, double max) { return min < max; }
bool inside(double value, double min, double max) { return !bounded(min, max) || (value >= min && value <= max); }

std::string number_text(double v) {
  if (v == std::floor(v) && std::abs(v) < 1e15) return concat(static_cast<int64_t>(v));
  return concat(v);
}

// "1..63", "1 or more", "at most 5", "a number"
std::string bounds_text(double min, double max, std::string_view kind) {
  if (!bounded(min, max)) return std::string(kind);
  const bool low = min > -kUnbounded, high = max < kUnbounded;
  if (low && high) return concat(number_text(min), "..", number_text(max));
  if (low) return concat(number_text(min), " or more");
  if (high) return concat("at most ", number_text(max));
  return std::string(kind);
}

constexpr std::string_view kWhole = "a whole number", kReal = "a number";

// 64, -3, 64.0
std::optional<double> parse_whole(std::string_view text) {
  if (const size_t dot = text.find('.'); dot != std::string_view::npos && dot > 0) {
    if (text.find_first_not_of('0', dot + 1) != std::string_view::npos) return std::nullopt;
    text = text.substr(0, dot);
  }
  const std::optional<int64_t> value = parse_integer(text);
  if (!value) return std::nullopt;
  return static_cast<double>(*value);
}

template <class T>
constexpr bool is_whole = std::is_same_v<T, int>;

// True: `value` is set. False: `problem` says what is wrong with the text, or is empty when the number is only out of range.
template <class T>
bool read_number(std::string_view text, double min, double max, T& value, std::string_view& problem) {
  const std::optional<double> number = is_whole<T> ? parse_whole(text) : parse_real(text);
  problem = {};
  if (!number) {
    problem = is_whole<T> ? "not a whole number" : "not a number";
    return false;
  }
  const double limit = is_whole<T> ? double{std::numeric_limits<int>::max()} : std::is_same_v<T, float> ? double{FLT_MAX} : DBL_MAX;
  if (std::abs(*number) > limit) {
    problem = "too large";
    return false;
  }
  if (!inside(*number, min, max)) return false;
  value = static_cast<T>(*number);
  return true;
}

template <class T>
void read_one(const Section& section, const Entry& entry, double min, double max, T& value, Problems& problems) {
  std::string_view problem;
  if (!read_number(entry.value, min, max, value, problem))
    problems.error(section, entry, problem, bounds_text(min, max, is_whole<T> ? kWhole : kReal));
}

template <class T>
void read_list(const Section& section, const Entry& entry, double min, double max, std::vector<T>& value, Problems& problems) {
  std::vector<std::string_view> parts = split(entry.value, ',');
  if (parts.size() > 1 && trim(parts.back()).empty()) parts.pop_back();
  std::vector<T> read(parts.size());
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string_view part = trim(parts[i]);
    std::string_view problem;
    if (read_number(part, min, max, read[i], problem)) continue;
    const std::string_view kind = is_whole<T> ? "whole numbers" : "numbers";
    const std::string bounds = bounds_text(min, max, {});
    const std::string expected = bounds.empty() ? std::string(kind) : concat(kind, " (", bounds, ")");
    const std::string which = part.empty() ? concat("element ", i + 1, " is empty") : concat("element ", i + 1, " is ", shown(part));
    problems.error(section, entry, which, concat(expected, ", separated by commas"));
    return;
  }
  value = std::move(read);
}

bool same_value(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const std::optional<double> x = parse_real(a), y = parse_real(b);
  return x && y && *x == *y;
}

bool is_neutral(const ForeignKey& key, std::string_view value) {
  if (key.neutral == "*") return true;
  if (key.neutral.empty()) return false;
  for (std::string_view neutral : split(key.neutral, ','))
    if (same_value(trim(neutral), value)) return true;
  return false;
}

template <class T>
std::string list_text(const std::vector<T>& list) {
  std::string out;
  for (T v : list) out += concat(out.empty() ? "" : ",", v);
  return out;
}

}  // namespace

namespace detail {

void read_value(const Section& section, const Entry& entry, double min, double max, int& value, Problems& problems) {
  read_one(section, entry, min, max, value, problems);
}
void read_value(const Section& section, const Entry& entry, double min, double max, float& value, Problems& problems) {
  read_one(section, entry, min, max, value, problems);
}
void read_value(const Section& section, const Entry& entry, double min, double max, double& value, Problems& problems) {
  read_one(section, entry, min, max, value, problems);
}
void read_value(const Section& section, const Entry& entry, double min, double max, std::vector<int>& value, Problems& problems) {
  read_list(section, entry, min, max, value, problems);
}
void read_value(const Section& section, const Entry& entry, double min, double max, std::vector<float>& value, Problems& problems) {
  read_list(section, entry, min, max, value, problems);
}

void read_value(const Section& section, const Entry& entry, double, double, bool& value, Problems& problems) {
  if (entry.value == "0" || entry.value == "1")
    value = entry.value == "1";
  else
    problems.error(section, entry, {}, "0 or 1");
}

void read_choice(const Section& section, const Entry& entry, std::span<const std::string_view> choices, std::string& value, Problems& problems) {
  if (choices.empty() || std::find(choices.begin(), choices.end(), entry.value) != choices.end()) {
    value = entry.value;
    return;
  }
  problems.error(section, entry, {}, range_text(0, 0, choices, true, false));
}

std::string value_text(int v) { return concat(v); }
std::string value_text(bool v) { return v ? "1" : "0"; }
std::string value_text(float v) { return std::abs(v) < 1e6f ? concat(v) : number_text(v); }
std::string value_text(double v) { return number_text(v); }
std::string value_text(const std::string& v) { return v; }
std::string value_text(const std::vector<int>& v) { return list_text(v); }
std::string value_text(const std::vector<float>& v) { return list_text(v); }

std::string range_text(double min, double max, std::span<const std::string_view> choices, bool is_text, bool is_bool) {
  if (is_bool) return "0 or 1";
  if (!is_text) return bounds_text(min, max, kReal);
  std::string out;
  for (std::string_view choice : choices) out += concat(out.empty() ? "" : ", ", choice);
  return out.empty() ? "text" : out;
}

}  // namespace detail

void bind_foreign(const Section& section, std::span<const ForeignKey> keys, Problems& problems) {
  for (const ForeignKey& key : keys) {
    section.known.push_back(key.name);
    const Entry* entry = section.find(key.name);
    if (!entry || is_neutral(key, entry->value)) continue;
    if (key.refuse)
      problems.error(section, *entry, key.reason, key.neutral.empty() ? "no such key" : key.neutral);
    else
      problems.warning(concat(section.where(*entry), ": ignored: ", key.reason));
  }
}

void finish(const Section& section, Problems& problems) {
  for (const Entry& entry : section.entries) {
    if (std::find(section.known.begin(), section.known.end(), entry.key) != section.known.end()) continue;
    const std::string_view near = nearest_name(entry.key, section.known);
    const std::string hint = near.empty() ? std::string() : concat("; did you mean '", near, "'?");
    const std::string message = concat(section.where(entry), ": unknown key", hint);
    strict ? problems.error(message) : problems.warning(message);
  }
}

void set_strict_keys(bool on) { strict = on; }
bool strict_keys() { return strict; }

}  // namespace dn
