// Rows of words as aligned columns.
#pragma once

#include <string>
#include <vector>

namespace dn::cli {

// The first column to the left, the others to the right, two blanks between. UTF-8 letters count as one.
std::vector<std::string> text_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace dn::cli
