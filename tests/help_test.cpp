// Every help text, word by word, against tests/data/cli/help.txt; and what else is written from the table. After a change of the table:
//   DN_UPDATE=1 build/unit_tests --gtest_filter='Help.*'    writes the file anew, for the difference to be read
#include "cli/help.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "base/text.h"
#include "cli/commands.h"

namespace dn::cli {
namespace {

std::string all_texts() {
  std::string text = help_text(table());
  for (const Command& command : table().commands) text += concat("\n---------- darknet ", command.name, " --help\n", help_text(table(), command));
  return text;
}

TEST(Help, is_as_committed) {
  const fs::path file = fs::path(DN_SOURCE_DIR) / "tests" / "data" / "cli" / "help.txt";
  const std::string now = all_texts();
  if (std::getenv("DN_UPDATE")) write_file(file, now);
  const auto wanted = split(std::string_view(now), '\n');
  const std::string committed = read_text(file);
  const auto lines = split(std::string_view(committed), '\n');
  for (size_t i = 0; i < std::max(wanted.size(), lines.size()); ++i)
    ASSERT_EQ(i < wanted.size() ? wanted[i] : "(end)", i < lines.size() ? lines[i] : "(end)") << file << ", line " << i + 1;
}

TEST(Help, manual_names_everything) {
  const std::string page = man_page(table(), "1.2");
  const auto escaped = [](std::string_view name) {
    std::string out;
    for (const char c : name) out += c == '-' ? "\\-" : std::string(1, c);
    return out;
  };
  for (const Command& command : table().commands) {
    const size_t at = page.find(concat(".SS \"", escaped(command.name), "\"\n"));
    ASSERT_NE(at, std::string::npos) << command.name;
    const std::string section = page.substr(at, page.find("\n.S", at + 1) - at);
    for (const Option& option : command.options)
      EXPECT_NE(section.find(concat("\n\\fB\\-", escaped(option.name), "\\fR")), std::string::npos) << command.name << " -" << option.name;
  }
  for (const Option& option : table().global) EXPECT_NE(page.find(concat("\n\\fB\\-", option.name, "\\fR")), std::string::npos) << option.name;
  for (const InertOption& option : table().inert) EXPECT_NE(page.find(concat("\n\\fB\\-", option.name, "\\fR")), std::string::npos) << option.name;
  for (const RefusedCommand& refused : table().refused) EXPECT_NE(page.find(concat("\n\\fB", escaped(refused.name), "\\fR\n")), std::string::npos) << refused.name;
}

// A placeholder decides what is completed, so it may not say two things; and one word may not be an option with a value here, a switch there.
TEST(Help, an_option_has_one_arity_everywhere) {
  std::vector<std::pair<std::string, bool>> seen;
  const auto check = [&](std::string_view name, std::string_view value) {
    const std::string key = canonical(name);
    for (const auto& [known, has_value] : seen)
      if (known == key) {
        EXPECT_EQ(has_value, !value.empty()) << name;
      }
    seen.emplace_back(key, !value.empty());
  };
  for (const Command& command : table().commands)
    for (const Option& option : command.options) check(option.name, option.value);
  for (const Option& option : table().global) check(option.name, option.value);
  for (const InertOption& option : table().inert) check(option.name, option.value);
  EXPECT_GT(seen.size(), 50u);
}

TEST(Help, no_command_is_refused_and_offered) {
  for (const Command& command : table().commands)
    for (const RefusedCommand& refused : table().refused) EXPECT_NE(command.name, refused.name);
}

}  // namespace
}  // namespace dn::cli
