// Values: strict numbers, ranges, lists, choices, foreign and unknown keys.
#include "config/keys.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace dn {
namespace {

using Strings = std::vector<std::string>;

constexpr std::string_view kShapes[] = {"round", "square"};

struct ToySpec {
  int size = 1;
  bool pad = false;
  float ratio = .5f;
  double rate = 1e-3;
  std::string shape = "round", path;
  std::vector<int> mask = {0, 1};
  std::vector<float> anchors;
  int free = 0;
};

constexpr Key<ToySpec> kKeys[] = {
    {"size", &ToySpec::size, 1, 63, "kernel size"},
    {"pad", &ToySpec::pad, 0, 0, "padding"},
    {"ratio", &ToySpec::ratio, 0, 1, "a share"},
    {"rate", &ToySpec::rate, 0, 2147483647, "a rate"},
    {"shape", &ToySpec::shape, 0, 0, "a form", kShapes},
    {"path", &ToySpec::path, 0, 0, "a file"},
    {"mask", &ToySpec::mask, 0, 8, "chosen"},
    {"anchors", &ToySpec::anchors, 0, 0, "sizes"},
    {"free", &ToySpec::free, 0, 0, "any"},
};

ToySpec read(std::string_view key, std::string_view value, Problems& problems) {
  Section section{"y.cfg", 1, "toy", {{std::string(key), std::string(value), 2}}, {}};
  return bind<ToySpec>(section, kKeys, problems);
}

ToySpec good(std::string_view key, std::string_view value) {
  Problems problems;
  ToySpec spec = read(key, value, problems);
  EXPECT_EQ(problems.errors(), Strings{}) << key << " = " << value;
  return spec;
}

// The message without its place.
std::string bad(std::string_view key, std::string_view value) {
  Problems problems;
  read(key, value, problems);
  if (problems.errors().size() != 1) return concat(problems.errors().size(), " errors");
  const std::string start = concat("y.cfg:2: [toy] ", key, " = ", shown(value), ": ");
  EXPECT_TRUE(problems.errors()[0].starts_with(start)) << problems.errors()[0];
  return problems.errors()[0].substr(start.size());
}

TEST(Keys, WholeNumbers) {
  EXPECT_EQ(good("size", "63").size, 63);
  EXPECT_EQ(good("size", "+7").size, 7);
  EXPECT_EQ(good("size", "7.0").size, 7);
  EXPECT_EQ(good("size", "7.").size, 7);
  EXPECT_EQ(good("free", "-2147483647").free, -2147483647);
  for (std::string_view value : {"0", "64", "-1", "1000000000"}) EXPECT_EQ(bad("size", value), "expected 1..63") << value;
  for (std::string_view value : {"3x", "1e1", "7.5", "0x10", "1,5", "--3", ".0", "seven", "9999999999999999999999", "nan"})
    EXPECT_EQ(bad("size", value), "not a whole number; expected 1..63") << value;
  EXPECT_EQ(bad("free", "3000000000"), "too large; expected a whole number");
}

TEST(Keys, AWrongValueLeavesTheDefault) {
  Problems problems;
  EXPECT_EQ(read("size", "3x", problems).size, 1);
  EXPECT_EQ(read("mask", "1,99", problems).mask, (std::vector<int>{0, 1}));
}

TEST(Keys, RealNumbers) {
  EXPECT_FLOAT_EQ(good("ratio", ".1").ratio, .1f);
  EXPECT_DOUBLE_EQ(good("rate", "1e-3").rate, 1e-3);
  EXPECT_DOUBLE_EQ(good("rate", "5").rate, 5);
  EXPECT_EQ(bad("ratio", "1.5"), "expected 0..1");
  EXPECT_EQ(bad("rate", "-.1"), "expected 0 or more");
  for (std::string_view value : {"nan", "inf", "-inf", "1e400", "1e-3x", "0,5"})
    EXPECT_EQ(bad("ratio", value), "not a number; expected 0..1") << value;
}

TEST(Keys, FlagsAreZeroOrOne) {
  EXPECT_TRUE(good("pad", "1").pad);
  EXPECT_FALSE(good("pad", "0").pad);
  for (std::string_view value : {"2", "-1", "true", "1.0", "01"}) EXPECT_EQ(bad("pad", value), "expected 0 or 1") << value;
}

TEST(Keys, Choices) {
  EXPECT_EQ(good("shape", "square").shape, "square");
  EXPECT_EQ(good("path", "data/a b.map").path, "data/a b.map");
  EXPECT_EQ(bad("shape", "Square"), "expected round, square");
}

TEST(Keys, Lists) {
  EXPECT_EQ(good("mask", "3,4,5").mask, (std::vector<int>{3, 4, 5}));
  EXPECT_EQ(good("mask", " 3 , 4,5, ").mask, (std::vector<int>{3, 4, 5}));
  EXPECT_EQ(good("mask", "7").mask, std::vector<int>{7});
  EXPECT_EQ(good("anchors", "10,13.5,1e2").anchors, (std::vector<float>{10, 13.5f, 100}));
  EXPECT_EQ(bad("mask", "1,,2"), "element 2 is empty; expected whole numbers (0..8), separated by commas");
  EXPECT_EQ(bad("mask", ","), "element 1 is empty; expected whole numbers (0..8), separated by commas");
  EXPECT_EQ(bad("mask", "0,9"), "element 2 is 9; expected whole numbers (0..8), separated by commas");
  EXPECT_EQ(bad("mask", "0,1x"), "element 2 is 1x; expected whole numbers (0..8), separated by commas");
  EXPECT_EQ(bad("anchors", "1;2"), "element 1 is 1;2; expected numbers, separated by commas");
  EXPECT_EQ(bad("anchors", "1,nan"), "element 2 is nan; expected numbers, separated by commas");
}

TEST(Keys, AllProblemsOfASectionAreReported) {
  const Section section{"y.cfg", 1, "toy", {{"size", "0", 2}, {"pad", "3", 3}, {"shape", "flat", 4}}, {}};
  Problems problems;
  bind<ToySpec>(section, kKeys, problems);
  EXPECT_EQ(problems.errors().size(), 3u);
}

class UnknownKeys : public ::testing::Test {
 protected:
  void TearDown() override { set_strict_keys(false); }
  void run(const Section& section) {
    bind<ToySpec>(section, kKeys, problems);
    bind_foreign(section, std::vector<ForeignKey>{{"zzz", "*"}}, problems);
    finish(section, problems);
  }
  Problems problems;
};

TEST_F(UnknownKeys, WarnWithTheNearestName) {
  run({"y.cfg", 12, "toy", {{"sise", "3", 13}, {"zzz", "1", 14}, {"quux_factor", "1", 15}, {"size", "3", 16}}, {}});
  EXPECT_EQ(problems.errors(), Strings{});
  EXPECT_EQ(problems.warnings(),
            (Strings{"y.cfg:13: [toy] sise = 3: unknown key; did you mean 'size'?", "y.cfg:15: [toy] quux_factor = 1: unknown key"}));
}

TEST_F(UnknownKeys, AreErrorsWhenStrict) {
  set_strict_keys(true);
  run({"y.cfg", 12, "toy", {{"sise", "3", 13}}, {}});
  EXPECT_EQ(problems.errors(), Strings{"y.cfg:13: [toy] sise = 3: unknown key; did you mean 'size'?"});
  EXPECT_EQ(problems.warnings(), Strings{});
}

TEST(ForeignKeys, NeutralIsSilentTheRestWarnsOrIsRefused) {
  const ForeignKey keys[] = {
      {"any", "*", true, "x"}, {"mode", "off,0", true, "not supported"}, {"noise", "0", false, "not built"}, {"never", "", false, "means nothing"}};
  auto check = [&](const char* key, const char* value, Strings errors, Strings warnings) {
    const Section section{"y.cfg", 1, "toy", {{key, value, 2}}, {}};
    Problems problems;
    bind_foreign(section, keys, problems);
    EXPECT_EQ(problems.errors(), errors) << key << " = " << value;
    EXPECT_EQ(problems.warnings(), warnings) << key << " = " << value;
  };
  check("any", "17", {}, {});
  check("mode", "off", {}, {});
  check("mode", "0.0", {}, {});
  check("mode", "1", {"y.cfg:2: [toy] mode = 1: not supported; expected off,0"}, {});
  check("noise", "0", {}, {});
  check("noise", ".0", {}, {});
  check("noise", "2", {}, {"y.cfg:2: [toy] noise = 2: ignored: not built"});
  check("never", "0", {}, {"y.cfg:2: [toy] never = 0: ignored: means nothing"});
}

TEST(Keys, HelpListsDefaultsAndRanges) {
  Strings rows;
  for (const KeyHelp& row : key_help<ToySpec>(kKeys)) rows.push_back(concat(row.name, "|", row.initial, "|", row.range, "|", row.doc));
  EXPECT_EQ(rows, (Strings{"size|1|1..63|kernel size", "pad|0|0 or 1|padding", "ratio|0.5|0..1|a share", "rate|0.001|0 or more|a rate",
                           "shape|round|round, square|a form", "path||text|a file", "mask|0,1|0..8|chosen", "anchors||a number|sizes",
                           "free|0|a number|any"}));
}

}  // namespace
}  // namespace dn
