#include "cli/text_table.h"

#include <gtest/gtest.h>

namespace dn::cli {

TEST(text_table, columns_are_aligned) {
  EXPECT_EQ(text_table({{"class", "n"}, {"köder", "7"}, {"a", "100", "x"}}), (std::vector<std::string>{"class    n", "köder    7", "a      100  x"}));
  EXPECT_TRUE(text_table({}).empty());
}

}  // namespace dn::cli
