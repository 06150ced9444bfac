#include "cli/help.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace dn::cli {
namespace {

std::string option_word(const Option& o) { return concat("-", o.name, o.value.empty() ? "" : " ", o.value); }
std::string option_text(const Option& o) { return concat(o.help, o.initial.empty() ? "" : concat(" (default ", o.initial, ")")); }

void list_options(std::string& text, std::span<const Option> options) {
  for (const Option& o : options) {
    std::string left = "  " + option_word(o);
    left.resize(std::max<size_t>(left.size() + 1, 26), ' ');
    text += concat(left, option_text(o), "\n");
  }
}

// Text as roff shows it: backslashes and hyphens escaped, no line that would be a request.
std::string roff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    line_start = c == '\n';
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

// Each line of `text` a line of its own.
std::string roff_lines(std::string_view text) {
  std::string out;
  for (const std::string_view line : split(text, '\n')) out += concat(out.empty() ? "" : ".br\n", roff(line), "\n");
  return out;
}

void man_options(std::string& text, std::span<const Option> options) {
  for (const Option& o : options) {
    text += concat(".TP\n\\fB", roff(concat("-", o.name)), "\\fR", o.value.empty() ? "" : concat(" \\fI", roff(o.value), "\\fR"), "\n", roff(option_text(o)), "\n");
  }
}

// Names of options that take a value which `wanted` accepts, with their hyphen, each once.
template <class Wanted>
std::vector<std::string> options_with_value(const Table& table, const Wanted& wanted) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view name, std::string_view value) {
    const std::string word = concat("-", name);
    if (!value.empty() && wanted(value) && std::ranges::find(names, word) == names.end()) names.push_back(word);
  };
  for (const Option& o : table.global) add(o.name, o.value);
  for (const Command& c : table.commands)
    for (const Option& o : c.options) add(o.name, o.value);
  for (const InertOption& o : table.inert) add(o.name, o.value);
  return names;
}

std::string option_names(std::span<const Option> options) {
  std::string text;
  for (const Option& o : options) text += concat(text.empty() ? "" : " ", "-", o.name);
  return text;
}

// First words of all commands, or second words of those that begin with `group`; each once, in the order of the table.
std::vector<std::string> words_of(const Table& table, std::string_view group) {
  std::vector<std::string> words;
  for (const Command& c : table.commands) {
    const auto parts = split(c.name, ' ');
    if (!group.empty() && (parts.size() < 2 || parts[0] != group)) continue;
    const std::string word(parts[group.empty() ? 0 : 1]);
    if (std::ranges::find(words, word) == words.end()) words.push_back(word);
  }
  return words;
}

}  // namespace

std::string help_text(const Table& table, const Command& command) {
  std::string text = concat("usage: ", usage(command), "\n\n", command.summary, "\n");
  if (!command.details.empty()) text += concat("\n", command.details, "\n");
  if (!command.options.empty()) {
    text += "\noptions:\n";
    list_options(text, command.options);
  }
  text += "\noptions of every command:\n";
  list_options(text, table.global);
  return text;
}

std::string help_text(const Table& table, std::span<const std::string> words) {
  std::string text;
  for (const Command& command : table.commands) {
    const auto parts = split(command.name, ' ');
    const bool same = parts.size() >= words.size() &&
                      std::equal(words.begin(), words.end(), parts.begin(), [](const auto& a, auto b) { return canonical(a) == canonical(b); });
    if (!same) continue;
    if (!text.empty()) text += '\n';
    text += help_text(table, command);
  }
  if (text.empty()) fail("help: no command '", join(std::vector<std::string>(words.begin(), words.end()), " "), "' (`darknet help` lists them)");
  return text;
}

std::string help_text(const Table& table) {
  std::string text = "usage: darknet COMMAND [arguments] [options]\n\ncommands:\n";
  for (const Command& command : table.commands) {
    std::string left = concat("  ", command.name, command.arguments.empty() ? "" : " ", command.arguments);
    left.resize(std::max<size_t>(left.size() + 2, 58), ' ');
    text += concat(left, command.summary, "\n");
  }
  text += "\noptions of every command:\n";
  list_options(text, table.global);
  return text + "\n`darknet help COMMAND` or `darknet COMMAND --help` tells more.\n";
}

std::string man_page(const Table& table, std::string_view version) {
  std::string text = concat(".TH DARKNET 1 \"\" \"darknet ", roff(version), "\" \"User Commands\"\n",
                            ".SH NAME\ndarknet \\- trains and runs networks that find objects in images\n",
                            ".SH SYNOPSIS\n\\fBdarknet\\fR \\fICOMMAND\\fR [\\fIarguments\\fR] [\\fIoptions\\fR]\n",
                            ".SH DESCRIPTION\n", roff("Options stand anywhere among the arguments. -opt and --opt are the same, so are upper and lower case, '_', '-' and neither.\n"
                            "A value is the next word, or follows '='. Of an option that is given twice the first counts."), "\n",
                            ".SH COMMANDS\n");
  for (const Command& c : table.commands) {
    text += concat(".SS \"", roff(c.name), "\"\n\\fB", roff(concat("darknet ", c.name)), "\\fR", c.arguments.empty() ? "" : concat(" \\fI", roff(c.arguments), "\\fR"),
                   "\n.PP\n", roff(c.summary), "\n");
    if (!c.details.empty()) text += concat(".PP\n", roff_lines(c.details));
    man_options(text, c.options);
  }
  text += ".SH OPTIONS\nOf every command:\n";
  man_options(text, table.global);
  text += concat(".PP\n", roff("Accepted because scripts of the darknet family give them; they change nothing where the command's own list lacks them:"), "\n");
  for (const InertOption& o : table.inert)
    text += concat(".TP\n\\fB", roff(concat("-", o.name)), "\\fR", o.value.empty() ? "" : concat(" \\fI", roff(o.value), "\\fR"), "\n", roff(o.reason), "\n");
  text += concat(".SH COMPATIBILITY\n", roff("Commands of the darknet family that are refused:"), "\n");
  for (const RefusedCommand& r : table.refused) text += concat(".TP\n\\fB", roff(r.name), "\\fR\n", roff(r.reason), "\n");
  text += ".SH EXIT STATUS\n.TP\n0\nsuccess\n.TP\n1\na run that failed\n.TP\n2\na mistake in the arguments or the files\n.TP\n130, 143\nended by SIGINT, SIGTERM\n";
  return text;
}

std::string bash_completion(const Table& table) {
  // By their placeholders.
  const auto is_file = [](std::string_view value) { return value == "F" || value == "DIR"; };
  const std::string files = join(options_with_value(table, is_file), "|");
  const std::string others = join(options_with_value(table, [&](std::string_view v) { return !is_file(v); }), "|");
  std::string text = concat("# Completion of darknet for bash.\n_darknet() {\n"
                            "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options= verbs= i\n"
                            "  local -a words=()\n"
                            "  COMPREPLY=()\n"
                            "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                            "    case ${COMP_WORDS[i]} in\n"
                            "      ", files, "|", others, ") ((i++)) ;;\n"
                            "      -*) ;;\n"
                            "      *) words+=(\"${COMP_WORDS[i]}\") ;;\n"
                            "    esac\n"
                            "  done\n"
                            "  case $prev in\n"
                            "    ", files, ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
                            "    ", others, ") return ;;\n"
                            "  esac\n"
                            "  case \"${words[0]} ${words[1]}\" in\n");
  for (const Command& c : table.commands)
    text += concat("    '", c.name, "'", split(c.name, ' ').size() < 2 ? "' '*" : "", ") options='", option_names(c.options), "' ;;\n");
  for (const std::string& word : words_of(table, {}))
    if (const auto verbs = words_of(table, word); !verbs.empty()) text += concat("    '", word, " '*) verbs='", join(verbs, " "), "' ;;\n");
  text += concat("    *) verbs='", join(words_of(table, {}), " "), "' ;;\n",
                 "  esac\n"
                 "  if [[ $cur == -* ]]; then\n"
                 "    COMPREPLY=($(compgen -W \"$options ", option_names(table.global), " -help\" -- \"$cur\"))\n"
                 "  elif [[ -n $verbs ]]; then\n"
                 "    COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n"
                 "  else\n"
                 "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
                 "  fi\n"
                 "}\n"
                 "complete -o filenames -F _darknet darknet\n");
  return text;
}

}  // namespace dn::cli
