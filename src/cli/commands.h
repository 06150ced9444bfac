// The program's commands.
#pragma once

#include "cli/options.h"

namespace dn::cli {

const Table& table();

// Runs what the words ask for. Exit code: 0; 1 a run that failed; 2 a mistake of the user's (as Error, for the caller to print);
// 130 and 143 after SIGINT and SIGTERM.
int run(std::span<const std::string> words);

}  // namespace dn::cli
