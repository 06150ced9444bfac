// Texts from the table that parses: help, a manual page, completion for bash.
#pragma once

#include "cli/options.h"

namespace dn::cli {

// All commands; or one; or those that begin with `words` ("detector").
std::string help_text(const Table& table);
std::string help_text(const Table& table, const Command& command);
std::string help_text(const Table& table, std::span<const std::string> words);

// man(7) source of darknet(1).
std::string man_page(const Table& table, std::string_view version);
// A script for /usr/share/bash-completion/completions/darknet: commands, verbs, their options, files.
std::string bash_completion(const Table& table);

}  // namespace dn::cli
