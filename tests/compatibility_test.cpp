// docs/compatibility.md against the program: every row of its tables is tried, and what the program's own tables hold is on the page.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cli/commands.h"
#include "config/compat.h"
#include "config/data_file.h"
#include "graph/network.h"
#include "layers/registry.h"

namespace dn {
namespace {

using Names = std::vector<std::string>;
constexpr std::string_view kEverySection = "every section", kDataFile = ".data file";
struct Row {
  std::string chapter, part;   // the headings ## and ### above it
  Names cells;                 // of a table; one for a line of text
  int line = 0;
  std::string place() const { return concat("docs/compatibility.md:", line, ": ", cells[0]); }
};

// Tables without their heads.
std::vector<Row> read_page() {
  std::vector<Row> rows;
  std::string chapter, part;
  const std::vector<std::string> lines = read_lines(fs::path(DN_SOURCE_DIR) / "docs" / "compatibility.md");
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string& text = lines[i];
    const bool table = text.starts_with("|");
    if (text.starts_with("## ")) {
      chapter = text.substr(3);
      part.clear();
    } else if (text.starts_with("### ")) {
      part = text.substr(4);
    } else if (!table && !text.empty()) {
      rows.push_back({chapter, part, {text}, static_cast<int>(i) + 1});
    } else if (table && !text.starts_with("|---") && !(i + 1 < lines.size() && lines[i + 1].starts_with("|---"))) {
      Row row{chapter, part, {}, static_cast<int>(i) + 1};
      for (const std::string_view cell : split(std::string_view(text).substr(1, text.size() - 2), '|')) row.cells.emplace_back(trim(cell));
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

std::vector<Row> rows_of(std::string_view chapter, std::string_view part = {}, size_t cells = 0) {
  std::vector<Row> rows;
  for (Row& row : read_page())
    if (row.chapter == chapter && (part.empty() || row.part == part) && (cells == 0 || row.cells.size() == cells)) rows.push_back(std::move(row));
  return rows;
}

// What stands in backquotes.
Names names_in(std::string_view cell) {
  Names names;
  for (size_t open = cell.find('`'); open != std::string_view::npos; open = cell.find('`', open)) {
    const size_t close = cell.find('`', open + 1);
    if (close == std::string_view::npos) break;
    names.emplace_back(cell.substr(open + 1, close - open - 1));
    open = close + 1;
  }
  return names;
}

Names words_in(std::string_view cell) {
  Names words;
  for (const std::string_view word : split(cell, ','))
    if (!trim(word).empty()) words.emplace_back(trim(word));
  return words;
}

// "(=1) reason" -> "1" with lead "(="; empty: there is none.
std::string value_in(std::string_view note, std::string_view lead) {
  const size_t at = note.find(lead);
  if (at == std::string_view::npos) return {};
  const size_t from = at + lead.size();
  return std::string(note.substr(from, note.find(')', from) - from));
}

// "[Gaussian_yolo]" -> "gaussian_yolo"
std::string type_of(std::string_view bracketed) { return std::string(section_type(lower(std::string(bracketed.substr(1, bracketed.size() - 2))))); }

std::vector<KeyHelp> table_of(const std::string& part) {
  if (part == kEverySection) return common_key_help();
  if (part == "[net]") return net_key_help();
  const LayerType* type = find_layer_type(type_of(part));
  return type ? type->keys() : std::vector<KeyHelp>{};
}

const KeyHelp* find_key(const std::vector<KeyHelp>& table, std::string_view key) {
  const auto found = std::ranges::find(table, key, &KeyHelp::name);
  return found == table.end() ? nullptr : &*found;
}

// Parses a section of that type with this text in it.
Section parsed(const std::string& part, const std::string& text, Problems& problems) {
  const std::string type = type_of(part), head = type == "net" ? "[net]\n" : concat("[net]\n[", type, "]\n");
  std::vector<Section> sections = parse_sections(head + text, "page.cfg", problems);
  if (type == "net")
    bind_net(sections[0], problems);
  else
    find_layer_type(type)->parse(sections[1], NetSpec{}, 9, problems);
  return std::move(sections.back());
}

// All that the parser knows, key tables or not.
Names known_keys(const std::string& part) {
  Problems problems;
  const Section section = parsed(part, "", problems);
  return {section.known.begin(), section.known.end()};
}

// What parsing a section with this one key says of the key.
struct Said {
  Names errors, warnings;
  bool unknown = false;
};
Said said_of(const std::string& part, const std::string& key, const std::string& value) {
  Problems problems;
  parsed(part, concat(key, "=", value, "\n"), problems);
  Said said;
  const auto take = [&](const std::vector<std::string>& from, Names& into) {
    for (const std::string& message : from) {
      if (message.find(concat("] ", key, " =")) == std::string::npos) continue;
      into.push_back(message);
      said.unknown = said.unknown || message.find("unknown key") != std::string::npos;
    }
  };
  take(problems.errors(), said.errors);
  take(problems.warnings(), said.warnings);
  return said;
}

void check_works(const Row& row, const std::string& key, const std::string& only) {
  if (only.empty()) {
    const std::vector<KeyHelp> own = table_of(row.part), common = table_of(std::string(kEverySection));
    const KeyHelp* help = find_key(own, key);
    if (!help && row.part == "[convolutional]") help = find_key(common, key);
    ASSERT_TRUE(help) << row.place() << ": `" << key << "` is in no key table";
    EXPECT_FALSE(help->doc.ends_with("no effect")) << row.place() << ": " << help->doc;
    EXPECT_FALSE(said_of(row.part, key, help->initial.empty() ? "1" : help->initial).unknown) << row.place() << ": " << key;
    return;
  }
  const Said allowed = said_of(row.part, key, only), other = said_of(row.part, key, only + "1");
  EXPECT_TRUE(allowed.errors.empty() && allowed.warnings.empty()) << row.place() << ": " << key << " = " << only;
  EXPECT_TRUE(other.errors.size() == 1 && !other.unknown) << row.place() << ": " << key << " = " << only << "1";
}

void check_without_effect(const Row& row, const std::string& key, const std::string& value) {
  const std::vector<KeyHelp> table = table_of(row.part);
  const Said said = said_of(row.part, key, value);
  EXPECT_FALSE(said.unknown) << row.place() << ": " << key;
  EXPECT_TRUE(said.errors.empty()) << row.place() << ": " << join(said.errors, "\n");
  // A key whose effect only other layers can rule out is in the table, and says so there.
  if (const KeyHelp* help = find_key(table, key)) {
    EXPECT_TRUE(help->doc.ends_with("no effect")) << row.place() << ": " << key << " has an effect: " << help->doc;
    return;
  }
  const bool silent = row.cells[2].find("silent") != std::string::npos;
  ASSERT_EQ(said.warnings.size(), silent ? 0u : 1u) << row.place() << ": " << key << " = " << value;
  if (!silent) {
    EXPECT_NE(said.warnings[0].find("ignored"), std::string::npos) << row.place() << ": " << said.warnings[0];
  }
}

void check_refused(const Row& row, const std::string& key, const std::string& value) {
  EXPECT_FALSE(find_key(table_of(row.part), key)) << row.place() << ": " << key << " is in the key table";
  EXPECT_EQ(value_in(row.cells[2], "(only "), "") << row.place() << ": works with one value";
  const Said said = said_of(row.part, key, value);
  EXPECT_FALSE(said.unknown) << row.place() << ": " << key;
  EXPECT_EQ(said.errors.size(), 1u) << row.place() << ": " << key << " = " << value;
}

// Key -> where, of the page's chapter of our own keys.
std::set<std::pair<std::string, std::string>> own_keys() {
  std::set<std::pair<std::string, std::string>> own;
  for (const Row& row : rows_of("Keys of this program alone", {}, 2)) {
    Names places = names_in(row.cells[1]);
    if (places.empty()) places.push_back(row.cells[1]);
    for (const std::string& key : names_in(row.cells[0]))
      for (const std::string& place : places) EXPECT_TRUE(own.emplace(place, key).second) << row.place() << " twice";
  }
  EXPECT_GE(own.size(), 50u);
  return own;
}

std::vector<Row> section_rows() { return rows_of("Sections", {}, 2); }

TEST(Compatibility, sections) {
  std::set<std::string> works;
  for (const Row& row : section_rows()) {
    const Names names = names_in(row.cells[0]);
    ASSERT_FALSE(names.empty()) << row.place();
    const std::string type = type_of(names[0]);
    for (const std::string& name : names) EXPECT_EQ(type_of(name), type) << row.place();
    if (row.cells[1] == "works") {
      EXPECT_TRUE(type == "net" || find_layer_type(type)) << row.place();
      EXPECT_TRUE(works.insert(type).second) << row.place() << " twice";
      continue;
    }
    EXPECT_TRUE(row.cells[1].starts_with("refused: ") && !find_layer_type(type)) << row.place();
    const std::string_view reason = foreign_section(type);
    ASSERT_FALSE(reason.empty()) << row.place();
    try {
      Network::from_text(concat("[net]\nwidth=32\nheight=32\n", names[0], "\n"), "page.cfg");
      ADD_FAILURE() << row.place() << " is not refused";
    } catch (const Error& error) {
      EXPECT_NE(std::string_view(error.what()).find(concat("[", type, "]: ", reason)), std::string_view::npos) << error.what();
    }
  }
  for (const LayerType& type : layer_types()) EXPECT_TRUE(works.count(std::string(type.name))) << type.name << " is not on the page";
  EXPECT_EQ(works.size(), layer_types().size() + 1);
}

// The parts of the chapter of keys are the sections that work, each once, their keys in tables or "no keys".
TEST(Compatibility, every_section_has_its_keys) {
  std::set<std::string> parts;
  for (const Row& row : rows_of("Keys"))
    if (row.part.starts_with("[")) parts.insert(row.part);
  for (const Row& row : section_rows()) {
    const std::string name = names_in(row.cells[0])[0];
    EXPECT_EQ(parts.count(name) != 0, row.cells[1] == "works") << row.place();
    parts.erase(name);
  }
  EXPECT_TRUE(parts.empty()) << *parts.begin() << " is no section of the page";
}

TEST(Compatibility, keys) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const Row& row : rows_of("Keys", {}, 3)) {
    if (row.part == kDataFile) continue;
    const std::string &status = row.cells[1], written = value_in(row.cells[2], "(="), value = written.empty() ? "1" : written;
    ASSERT_FALSE(names_in(row.cells[0]).empty()) << row.place();
    if (row.part != kEverySection && row.part != "[net]" && !find_layer_type(type_of(row.part))) {
      ADD_FAILURE() << row.place() << ": there is no " << row.part;
      continue;
    }
    for (const std::string& key : names_in(row.cells[0])) {
      EXPECT_TRUE(seen.emplace(row.part, key).second) << row.place() << " twice";
      if (row.part == kEverySection) {
        EXPECT_EQ(status, "works") << row.place();
        EXPECT_TRUE(find_key(table_of(row.part), key)) << row.place() << ": " << key;
        for (const LayerType& type : layer_types()) EXPECT_FALSE(said_of(concat("[", type.name, "]"), key, "1").unknown) << type.name << ": " << key;
      } else if (status == "works") {
        check_works(row, key, value_in(row.cells[2], "(only "));
      } else if (status == "no effect") {
        check_without_effect(row, key, value);
      } else if (status == "refused") {
        check_refused(row, key, value);
      } else {
        ADD_FAILURE() << row.place() << ": status " << status;
      }
    }
  }
  EXPECT_GE(seen.size(), 250u);
}

// Nothing that the program knows is missing from the page, and what it calls its own is.
TEST(Compatibility, key_tables_are_on_the_page) {
  auto expected = own_keys();
  const auto own = expected;
  for (const Row& row : rows_of("Keys", {}, 3))
    for (const std::string& key : names_in(row.cells[0])) {
      EXPECT_FALSE(own.count({row.part, key})) << row.place() << ": " << key << " is the family's and this program's alone";
      expected.emplace(row.part, key);
    }
  for (const KeyHelp& help : common_key_help()) {
    EXPECT_TRUE(expected.count({std::string(kEverySection), help.name})) << help.name << " is not on the page";
    for (const LayerType& type : layer_types()) expected.emplace(type.name == "gaussian_yolo" ? "[Gaussian_yolo]" : concat("[", type.name, "]"), help.name);
  }
  for (const Row& row : section_rows()) {
    const std::string part = names_in(row.cells[0])[0];
    if (part != "[net]" && !find_layer_type(type_of(part))) continue;
    for (const std::string& key : known_keys(part)) EXPECT_TRUE(expected.count({part, key})) << part << " " << key << " is not on the page";
  }
  for (const auto& [part, key] : own) EXPECT_TRUE(find_key(table_of(part), key)) << part << " " << key << " is not in the program";
}

// All that a .data file can say, and the warnings.
std::pair<Names, std::string> read_data(const std::string& text) {
  const fs::path file = fs::path(::testing::TempDir()) / "compatibility_test.data";
  write_file(file, text);
  ::testing::internal::CaptureStderr();
  const DataFile d = read_data_file(file);
  const std::string said = ::testing::internal::GetCapturedStderr();
  fs::remove(file);
  return {{d.train, d.valid, d.names, d.backup, d.results, d.eval, d.difficult, d.map, concat(d.classes), concat(d.saveweights), concat(d.savelast)}, said};
}

TEST(Compatibility, data_file) {
  const auto [before, nothing] = read_data("top=5\n");
  EXPECT_EQ(nothing, "");
  size_t keys = 0;
  for (const Row& row : rows_of("Keys", kDataFile, 3)) {
    const std::string value = value_in(row.cells[2], "(=");
    for (const std::string& key : names_in(row.cells[0])) {
      ++keys;
      const auto [after, said] = read_data(concat(key, " = ", value.empty() ? "some/where" : value, "\n"));
      EXPECT_EQ(said, "") << row.place();
      EXPECT_EQ(row.cells[1], after != before ? "works" : "no effect") << row.place() << ": " << key;
    }
  }
  EXPECT_GE(keys, 13u);
}

TEST(Compatibility, commands) {
  std::set<std::string> works, refused, own;
  for (const Row& row : rows_of("Commands and options", "Commands", 3)) {
    EXPECT_TRUE(row.cells[1] == "works" || row.cells[1] == "refused") << row.place();
    for (const std::string& name : names_in(row.cells[0])) EXPECT_TRUE((row.cells[1] == "works" ? works : refused).insert(name).second) << row.place();
  }
  for (const Row& row : rows_of("Commands and options", "Commands of this program alone"))
    for (const std::string& name : names_in(row.cells[0])) own.insert(name);
  std::set<std::string> expected = works;
  expected.insert(own.begin(), own.end());
  EXPECT_EQ(expected.size(), works.size() + own.size());
  std::set<std::string> commands, refusals;
  for (const cli::Command& command : cli::table().commands) commands.emplace(command.name);
  for (const cli::RefusedCommand& command : cli::table().refused) refusals.emplace(command.name);
  EXPECT_EQ(commands, expected);
  EXPECT_EQ(refusals, refused);
  for (const std::string& name : refused) {
    Names words;
    for (const std::string_view word : split(name, ' ')) words.emplace_back(word);
    EXPECT_THROW(cli::parse(cli::table(), words), Error) << name;
  }
}

using OptionUse = std::tuple<std::string, std::string, std::string>;   // command ("" = all), option, placeholder of its value

// "-thresh T" -> of that command and of those that take the same options.
void take_option(const std::string& command, const std::string& option, std::set<OptionUse>& uses) {
  const size_t blank = option.find(' ');
  const std::string name = option.substr(1, blank == std::string::npos ? blank : blank - 1), value = blank == std::string::npos ? "" : option.substr(blank + 1);
  const auto add = [&](const std::string& of) { EXPECT_TRUE(uses.emplace(of, name, value).second) << of << " " << option << " twice"; };
  const bool group = command == "yolo" || command == "coco";
  if (!group) add(command);
  if (command == "detector test") add("detect");
  for (const cli::Command& other : cli::table().commands)
    for (const std::string_view family : {"yolo", "coco"})
      if ((command == family && other.name.starts_with(concat(family, " "))) ||
          (command.starts_with("detector ") && other.name == concat(family, command.substr(8))))
        add(std::string(other.name));
}

std::set<OptionUse> options_on_the_page() {
  std::set<OptionUse> uses;
  for (const Row& row : rows_of("Commands and options", "Options", 4))
    for (const std::string& verb : words_in(row.cells[1]))
      for (const std::string& option : names_in(row.cells[0])) take_option(verb == "all" ? "" : concat("detector ", verb), option, uses);
  for (const Row& row : rows_of("Commands and options", "Options of this program alone", 2))
    for (const std::string& command : words_in(row.cells[1]))
      for (const std::string& option : names_in(row.cells[0])) take_option(command == "all" ? "" : command, option, uses);
  return uses;
}

TEST(Compatibility, options) {
  const std::set<OptionUse> page = options_on_the_page();
  std::set<OptionUse> program;
  for (const cli::Option& o : cli::table().global) program.emplace("", o.name, o.value);
  for (const cli::Command& command : cli::table().commands)
    for (const cli::Option& o : command.options) program.emplace(command.name, o.name, o.value);
  for (const auto& [command, option, value] : page)
    EXPECT_TRUE(program.count({command, option, value})) << command << " -" << option << " " << value << " is not in the program";
  for (const auto& [command, option, value] : program)
    EXPECT_TRUE(page.count({command, option, value})) << command << " -" << option << " " << value << " is not on the page";
  EXPECT_GE(page.size(), 100u);
}

TEST(Compatibility, options_without_effect_or_refused) {
  std::set<std::string> page, program;
  for (const Row& row : rows_of("Commands and options", "Options", 4)) {
    const std::string& status = row.cells[2];
    EXPECT_EQ(status == "works", !row.cells[1].empty()) << row.place();
    for (const std::string& option : names_in(row.cells[0])) {
      if (status == "no effect") {
        EXPECT_TRUE(page.insert(option).second) << row.place();
      }
      if (status != "refused") continue;
      Names words = {"detector", "train", "a.data", "a.cfg"};
      for (const std::string_view word : split(option, ' ')) words.emplace_back(word);
      EXPECT_THROW(cli::parse(cli::table(), words), Error) << row.place();
    }
    EXPECT_TRUE(status == "works" || status == "no effect" || status == "refused") << row.place();
  }
  for (const cli::InertOption& o : cli::table().inert) program.insert(o.value.empty() ? concat("-", o.name) : concat("-", o.name, " ", o.value));
  EXPECT_EQ(page, program);
}

}  // namespace
}  // namespace dn
