#include "base/error.h"

#include <cstdlib>
#include <iostream>

namespace dn {

void report_bug(std::string_view what, const std::source_location& where) {
  std::cerr << "internal error: " << what << " (" << where.file_name() << ':' << where.line() << ", " << where.function_name()
            << ")\nThis is a bug in darknet, not in your files.\n";
  std::abort();
}

}  // namespace dn
