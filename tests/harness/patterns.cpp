#include "tests/harness/patterns.h"

#include <regex>

namespace dn::testing {
namespace {

Groups groups_of(const std::smatch& match) {
  Groups groups;
  for (const auto& group : match) groups.push_back(group.str());
  return groups;
}

}  // namespace

Groups first_match(const std::string& text, const std::string& pattern) {
  std::smatch match;
  return std::regex_search(text, match, std::regex(pattern)) ? groups_of(match) : Groups{};
}

std::vector<Groups> all_matches(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  std::vector<Groups> found;
  for (std::sregex_iterator i(text.begin(), text.end(), expression), end; i != end; ++i) found.push_back(groups_of(*i));
  return found;
}

bool matches(const std::string& text, const std::string& pattern) { return std::regex_search(text, std::regex(pattern)); }

size_t match_count(const std::string& text, const std::string& pattern) { return all_matches(text, pattern).size(); }

std::string replaced(const std::string& text, const std::string& pattern, const std::string& by) { return std::regex_replace(text, std::regex(pattern), by); }

}  // namespace dn::testing
