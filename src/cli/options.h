// Command line: one table of commands and options drives parsing, checks, hints and --help.
//
// Options stand anywhere; -opt and --opt are the same, and so are upper and lower case, '_', '-' and neither ("-dont_show" = "--dontshow").
// An option with a value takes the next word, or what follows '='. Everything else is positional.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dn::cli {

struct Option {
  std::string_view name;     // as documented: "iou_thresh"
  std::string_view value;    // placeholder of its value; empty: a switch
  std::string_view initial;  // default, as text; empty: none
  std::string_view help;
};

class Arguments;

struct Command {
  std::string_view name;       // "detector train"
  std::string_view arguments;  // "DATA CFG [WEIGHTS]"
  int least = 0, most = 0;     // number of positional arguments; most < 0: any
  std::string_view summary;
  std::span<const Option> options;
  int (*run)(const Arguments&) = nullptr;
  std::string_view details = {};
};

// Options of the family that exist here for scripts only: what they ask for does not exist or happens anyway.
struct InertOption {
  std::string_view name, value;
  std::string_view reason;
};

// Commands of the family that this program does not have.
struct RefusedCommand {
  std::string_view name;
  std::string_view reason;
};

struct Table {
  std::span<const Command> commands;
  std::span<const Option> global;  // of every command
  std::span<const InertOption> inert;
  std::span<const RefusedCommand> refused = {};
};

// What the user typed, sorted out and checked against one command.
class Arguments {
 public:
  const Command* command = nullptr;
  bool help = false;
  std::vector<std::string> positional;  // behind the command's own words
  std::vector<std::string> notes;       // accepted options that change nothing, one sentence each; options given twice

  bool knows(std::string_view name) const;                                 // the command has such an option
  bool has(std::string_view name) const;                                   // given by the user
  std::string text(std::string_view name) const;                           // given or default
  int64_t integer(std::string_view name, int64_t min, int64_t max) const;  // Error outside [min, max]
  double real(std::string_view name, double min, double max) const;

 private:
  friend Arguments parse(const Table&, std::span<const std::string>);
  const Option& option(std::string_view name) const;
  std::vector<std::pair<std::string, std::string>> given_;  // canonical name, value
  std::vector<const Option*> known_;
};

// `words` is argv without the program's name. `command` stays null when only help was asked for or nothing was given.
// Throws Error for an unknown command or option (with the nearest name), a refused command, a missing value, a wrong number of arguments.
// Of an option that is given more than once the first counts, as in the family.
Arguments parse(const Table& table, std::span<const std::string> words);

std::string canonical(std::string_view name);  // lower case without '_' and '-'
std::string usage(const Command& command);     // "darknet partial CFG WEIGHTS OUT N [options]"

}  // namespace dn::cli
