// Keys as data: one table per section type holds name, member, range and meaning. The table drives parsing, range checks, unknown-key hints and
// `darknet describe SECTION`.
//
//   struct UpsampleSpec { int stride = 2; float scale = 1; };
//   constexpr Key<UpsampleSpec> kKeys[] = {{"stride", &UpsampleSpec::stride, 1, 64, "enlargement"}, ...};
//   UpsampleSpec spec = bind<UpsampleSpec>(section, kKeys, problems);
//   finish(section, problems);      // after all tables of the section were bound: what is left is unknown
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/section.h"

namespace dn {

template <class Spec>
struct Key {
  using Member = std::variant<int Spec::*, bool Spec::*, float Spec::*, double Spec::*, std::string Spec::*, std::vector<int> Spec::*,
                              std::vector<float> Spec::*>;
  std::string_view name;
  Member member;
  double min = 0, max = 0;  // of the number, or of each element of a list; equal: no bounds. Not for text and bool (0 or 1)
  std::string_view doc;
  std::span<const std::string_view> choices = {};  // allowed values of a text key; empty: any
};

// A key of the darknet family that this program does not act on. Its neutral values pass silently (they ask for nothing).
// Any other value is refused, or passes with one warning that says why it changes nothing here.
struct ForeignKey {
  std::string_view name;
  std::string_view neutral;  // comma list of values, compared as numbers where both are; "*" = any, empty = none
  bool refuse = false;       // otherwise warn
  std::string_view reason;
};

namespace detail {
// Each parses one value strictly (the whole text) and reports a problem; the value is unchanged then. A whole number may carry an empty
// fraction (64.0) but no exponent: the family reads 1e3 as 1 there. Lists tolerate blanks and one comma at the end.
void read_value(const Section&, const Entry&, double min, double max, int& value, Problems&);
void read_value(const Section&, const Entry&, double min, double max, bool& value, Problems&);
void read_value(const Section&, const Entry&, double min, double max, float& value, Problems&);
void read_value(const Section&, const Entry&, double min, double max, double& value, Problems&);
void read_value(const Section&, const Entry&, double min, double max, std::vector<int>& value, Problems&);
void read_value(const Section&, const Entry&, double min, double max, std::vector<float>& value, Problems&);
void read_choice(const Section&, const Entry&, std::span<const std::string_view> choices, std::string& value, Problems&);
}  // namespace detail

// Over what `spec` holds already; keys that are not written leave it alone.
template <class Spec>
void bind_onto(const Section& section, std::span<const Key<Spec>> keys, Problems& problems, Spec& spec) {
  for (const Key<Spec>& key : keys) {
    section.known.push_back(key.name);
    const Entry* entry = section.find(key.name);
    if (!entry) continue;
    std::visit(
        [&](auto member) {
          auto& value = spec.*member;
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>)
            detail::read_choice(section, *entry, key.choices, value, problems);
          else
            detail::read_value(section, *entry, key.min, key.max, value, problems);
        },
        key.member);
  }
}
template <class Spec>
Spec bind(const Section& section, std::span<const Key<Spec>> keys, Problems& problems) {
  Spec spec;
  bind_onto(section, keys, problems, spec);
  return spec;
}
template <class Spec, size_t N>
Spec bind(const Section& section, const Key<Spec> (&keys)[N], Problems& problems) {
  return bind<Spec>(section, std::span<const Key<Spec>>(keys), problems);
}

void bind_foreign(const Section& section, std::span<const ForeignKey> keys, Problems& problems);

// Unknown keys: a warning with the nearest known name, or an error when `strict_keys()` is on (-strict).
void finish(const Section& section, Problems& problems);
void set_strict_keys(bool on);
bool strict_keys();

// One row of `describe SECTION`: name, default, range, meaning.
struct KeyHelp {
  std::string name, initial, range, doc;
};
namespace detail {
std::string value_text(int v);
std::string value_text(bool v);
std::string value_text(float v);
std::string value_text(double v);
std::string value_text(const std::string& v);
std::string value_text(const std::vector<int>& v);
std::string value_text(const std::vector<float>& v);
std::string range_text(double min, double max, std::span<const std::string_view> choices, bool is_text, bool is_bool);
}  // namespace detail
template <class Spec>
std::vector<KeyHelp> key_help(std::span<const Key<Spec>> keys) {
  std::vector<KeyHelp> rows;
  const Spec spec;
  for (const Key<Spec>& key : keys)
    std::visit(
        [&](auto member) {
          using Value = std::decay_t<decltype(spec.*member)>;
          rows.push_back({std::string(key.name), detail::value_text(spec.*member),
                          detail::range_text(key.min, key.max, key.choices, std::is_same_v<Value, std::string>, std::is_same_v<Value, bool>),
                          std::string(key.doc)});
        },
        key.member);
  return rows;
}

}  // namespace dn
