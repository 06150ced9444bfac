// Two kinds of failure. `Error`: the user's fault or the world's (a wrong cfg, a missing file, a full disk); it travels to main, which
// prints it and exits with 2. `ensure`: our own bug; it prints the place and aborts.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/text.h"

namespace dn {

// The message names the place, the thing, the rule and the value, without a final full stop.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(concat(parts...));
}

[[noreturn]] void report_bug(std::string_view what, const std::source_location& where);

inline void ensure(bool holds, std::string_view what = "invariant violated",
                   const std::source_location& where = std::source_location::current()) {
  if (!holds) [[unlikely]] report_bug(what, where);
}

}  // namespace dn
