#include "cli/options.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace dn::cli {
namespace {

struct Known {
  std::string_view name, value;  // as documented
};

// Every option of every command: an option's arity must be known before the command is.
std::vector<Known> all_options(const Table& table) {
  std::vector<Known> all = {{"help", ""}, {"h", ""}};
  for (const Option& o : table.global) all.push_back({o.name, o.value});
  for (const Command& c : table.commands)
    for (const Option& o : c.options) all.push_back({o.name, o.value});
  for (const InertOption& o : table.inert) all.push_back({o.name, o.value});
  return all;
}

bool is_option(const std::string& word) {
  return word.size() > 1 && word[0] == '-' && !parse_real(word);  // "-1" is a number
}

bool begins_with(const std::vector<std::string>& words, std::string_view name) {
  const auto parts = split(name, ' ');
  return parts.size() <= words.size() &&
         std::equal(parts.begin(), parts.end(), words.begin(), [](auto part, const auto& word) { return canonical(part) == canonical(word); });
}

const Command* find_command(const Table& table, const std::vector<std::string>& words, size_t& used) {
  const Command* best = nullptr;
  for (const Command& command : table.commands) {
    const size_t parts = split(command.name, ' ').size();
    if ((best && parts <= used) || !begins_with(words, command.name)) continue;
    best = &command;
    used = parts;
  }
  return best;
}

void check_refused(const Table& table, const std::vector<std::string>& words) {
  for (const RefusedCommand& refused : table.refused)
    if (begins_with(words, refused.name)) fail(refused.name, ": not in this program: ", refused.reason);
}

[[noreturn]] void unknown_command(const Table& table, const std::vector<std::string>& words) {
  std::vector<std::string_view> firsts, seconds;
  for (const Command& command : table.commands) {
    const auto parts = split(command.name, ' ');
    firsts.push_back(parts[0]);
    if (parts.size() > 1 && canonical(parts[0]) == canonical(words[0])) seconds.push_back(parts[1]);
  }
  const bool group = !seconds.empty();
  if (group && words.size() < 2)
    fail(words[0], ": a verb is missing; expected one of ", [&] {
      std::vector<std::string> names(seconds.begin(), seconds.end());
      return join(names, ", ");
    }());
  const std::string& word = group ? words[1] : words[0];
  // A verb of a group without the group: `train`.
  for (const Command& command : table.commands)
    if (!group && command.name.ends_with(concat(" ", canonical(word)))) fail(word, ": unknown command; did you mean '", command.name, "'?");
  const std::string_view near = nearest_name(word, group ? seconds : firsts);
  fail((group ? words[0] + " " : std::string()), word, ": unknown command", near.empty() ? "" : concat("; did you mean '", near, "'?"),
       " (`darknet help` lists them)");
}

struct Given {
  std::string written, value;
  const Known* known;
};

// Splits the words into options (with their values) and positional words.
void sort_words(const std::vector<Known>& all, std::span<const std::string> words, std::vector<Given>& options,
                std::vector<std::string>& positional) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word(trim(words[i]));  // scripts with CRLF ends leave a CR behind
    if (!is_option(word)) {
      if (!word.empty()) positional.push_back(word);
      continue;
    }
    const size_t equal = word.find('=');
    const std::string written = word.substr(0, equal), name = canonical(written);
    const auto known = std::find_if(all.begin(), all.end(), [&](const Known& k) { return canonical(k.name) == name; });
    if (known == all.end()) {
      std::vector<std::string_view> names;
      for (const Known& k : all) names.push_back(k.name);
      const std::string_view near =
          nearest_name(written.substr(written.find_first_not_of('-') == std::string::npos ? 0 : written.find_first_not_of('-')), names);
      fail(written, ": unknown option", near.empty() ? "" : concat("; did you mean '-", near, "'?"));
    }
    Given given{written, {}, &*known};
    if (known->value.empty()) {
      if (equal != std::string::npos) fail(written, ": is a switch and takes no value");
    } else if (equal != std::string::npos) {
      given.value = word.substr(equal + 1);
    } else {
      if (i + 1 >= words.size() || is_option(words[i + 1])) fail(written, ": needs a value (", known->value, ")");
      given.value = trim(words[++i]);
    }
    options.push_back(std::move(given));
  }
}

}  // namespace

std::string canonical(std::string_view name) {
  std::string text = lower(name);
  std::erase_if(text, [](char c) { return c == '_' || c == '-'; });
  return text;
}

std::string usage(const Command& command) {
  return concat("darknet ", command.name, command.arguments.empty() ? "" : " ", command.arguments, " [options]");
}

Arguments parse(const Table& table, std::span<const std::string> words) {
  const std::vector<Known> all = all_options(table);
  std::vector<Given> options;
  Arguments result;
  check_refused(table, {words.begin(), words.end()});   // before their options, which are unknown here
  sort_words(all, words, options, result.positional);
  for (const Given& given : options)
    if (const std::string name = canonical(given.written); name == "help" || name == "h") result.help = true;
  size_t used = 0;
  result.command = find_command(table, result.positional, used);
  if (!result.command) {
    check_refused(table, result.positional);
    if (result.help || result.positional.empty()) return result;
    unknown_command(table, result.positional);
  }
  result.positional.erase(result.positional.begin(), result.positional.begin() + static_cast<std::ptrdiff_t>(used));
  for (const auto list : {result.command->options, table.global})
    for (const Option& o : list) result.known_.push_back(&o);
  for (const Given& given : options) {
    const std::string name = canonical(given.written);
    if (name == "help" || name == "h") continue;
    const bool mine = std::any_of(result.known_.begin(), result.known_.end(), [&](const Option* o) { return canonical(o->name) == name; });
    const auto inert = std::find_if(table.inert.begin(), table.inert.end(), [&](const InertOption& o) { return canonical(o.name) == name; });
    const auto before = std::find_if(result.given_.begin(), result.given_.end(), [&](const auto& g) { return g.first == name; });
    if (mine && before != result.given_.end()) {
      if (before->second != given.value)
        result.notes.push_back(concat("option ", given.written, " ", given.value, " changes nothing: it is given twice, and the first, ", before->second, ", counts"));
    } else if (mine)
      result.given_.emplace_back(name, given.value);
    else
      result.notes.push_back(concat("option ", given.written, " changes nothing",
                                    inert != table.inert.end() ? concat(": ", inert->reason) : concat(" in `", result.command->name, "`")));
  }
  const int count = static_cast<int>(result.positional.size());
  if (!result.help && count < result.command->least) fail("too few arguments; expected: ", usage(*result.command));
  if (!result.help && result.command->most >= 0 && count > result.command->most)
    fail("'", result.positional[static_cast<size_t>(result.command->most)], "': one argument too many; expected: ", usage(*result.command));
  return result;
}

bool Arguments::knows(std::string_view name) const {
  return std::any_of(known_.begin(), known_.end(), [&](const Option* o) { return o->name == name; });
}

bool Arguments::has(std::string_view name) const {
  const std::string wanted = canonical(option(name).name);
  return std::any_of(given_.begin(), given_.end(), [&](const auto& g) { return g.first == wanted; });
}

const Option& Arguments::option(std::string_view name) const {
  const auto found = std::find_if(known_.begin(), known_.end(), [&](const Option* o) { return o->name == name; });
  ensure(found != known_.end(), "a command asks for an option that its table does not have");
  return **found;
}

std::string Arguments::text(std::string_view name) const {
  const std::string wanted = canonical(option(name).name);
  for (const auto& [given, value] : given_)
    if (given == wanted) return value;
  return std::string(option(name).initial);
}

int64_t Arguments::integer(std::string_view name, int64_t min, int64_t max) const {
  const std::string value = text(name);
  const std::optional<int64_t> number = parse_integer(value);
  if (!number || *number < min || *number > max) fail("option -", name, " = ", value, ": expected a whole number ", min, "..", max);
  return *number;
}

double Arguments::real(std::string_view name, double min, double max) const {
  const std::string value = text(name);
  const std::optional<double> number = parse_real(value);
  if (!number || *number < min || *number > max) fail("option -", name, " = ", value, ": expected a number ", min, "..", max);
  return *number;
}

}  // namespace dn::cli
