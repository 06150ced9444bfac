// Regular expressions (ECMAScript) for tests. <regex> stays in one file: each one that uses it takes seconds to compile, a dozen under the sanitizers.
#pragma once

#include <string>
#include <vector>

namespace dn::testing {

// What a match holds: the whole of it, then its groups.
using Groups = std::vector<std::string>;

Groups first_match(const std::string& text, const std::string& pattern);   // empty: there is none
std::vector<Groups> all_matches(const std::string& text, const std::string& pattern);
bool matches(const std::string& text, const std::string& pattern);         // somewhere in it
size_t match_count(const std::string& text, const std::string& pattern);
// Every match by `by`, in which $01 is the first group.
std::string replaced(const std::string& text, const std::string& pattern, const std::string& by);

}  // namespace dn::testing
