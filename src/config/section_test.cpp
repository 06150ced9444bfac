// Text -> sections: what is accepted, and the exact message of everything that is not.
#include "config/section.h"

#include <gtest/gtest.h>

#include <chrono>

#include "base/error.h"
#include "base/text.h"
#include "config/keys.h"

namespace dn {
namespace {

using Strings = std::vector<std::string>;

std::vector<Section> parse(std::string_view text, Problems& problems) { return parse_sections(text, "y.cfg", problems); }

Strings errors_of(std::string_view text) {
  Problems problems;
  parse(text, problems);
  return problems.errors();
}

TEST(Section, ReadsSectionsKeysAndLines) {
  Problems problems;
  const auto sections = parse("# a comment\n[net]\nbatch = 64\n\n; another\n[convolutional]\nfilters=32\nsize=3\n", problems);
  EXPECT_FALSE(problems.failed());
  ASSERT_EQ(sections.size(), 2u);
  EXPECT_EQ(sections[0].type, "net");
  EXPECT_EQ(sections[0].line, 2);
  EXPECT_EQ(sections[0].file, "y.cfg");
  ASSERT_NE(sections[0].find("batch"), nullptr);
  EXPECT_EQ(sections[0].find("batch")->value, "64");
  EXPECT_EQ(sections[0].find("batch")->line, 3);
  EXPECT_EQ(sections[1].where(), "y.cfg:6: [convolutional]");
  EXPECT_EQ(sections[1].where(*sections[1].find("size")), "y.cfg:8: [convolutional] size = 3");
  EXPECT_EQ(sections[1].find("stride"), nullptr);
}

TEST(Section, DropsBlanksCommentsBomAndCarriageReturns) {
  Problems problems;
  const auto sections = parse("\xEF\xBB\xBF[ net ] # first\r\n\tbatch\t=\t6 4 # of them\r\n  # x\r\nlayers = -1, 3 ### P6", problems);
  EXPECT_EQ(problems.errors(), Strings{});
  ASSERT_EQ(sections.size(), 1u);
  ASSERT_EQ(sections[0].entries.size(), 2u);
  EXPECT_EQ(sections[0].find("batch")->value, "64");
  EXPECT_EQ(sections[0].find("layers")->value, "-1,3");
  EXPECT_EQ(sections[0].find("layers")->line, 4);
}

TEST(Section, TypesHaveAliasesAndNoCase) {
  Problems problems;
  const auto sections =
      parse("[network]\n[conv]\n[conn]\n[max]\n[local_avg]\n[avg]\n[lrn]\n[soft]\n[silence]\n[Gaussian_yolo]\n[Yolo]\n[crop]\n", problems);
  EXPECT_EQ(problems.errors(), Strings{});
  Strings types;
  for (const Section& section : sections) types.push_back(section.type);
  EXPECT_EQ(types, (Strings{"net", "convolutional", "connected", "maxpool", "local_avgpool", "avgpool", "normalization", "softmax", "empty",
                            "gaussian_yolo", "yolo", "crop"}));
}

TEST(Section, ReportsEveryProblemOfOneReading) {
  EXPECT_EQ(errors_of("batch=1\n[net]\nwidth 416\nheight=\n=3\nbatch=1\nbatch = 64\n[route\nlayers=-1\n"),
            (Strings{"y.cfg:1: batch=1: stands before the first section; expected [net] above it", "y.cfg:3: [net] width 416: expected key = value",
                     "y.cfg:4: [net] height =: no value; expected key = value", "y.cfg:5: [net] =3: no key before the =; expected key = value",
                     "y.cfg:8: [route: no closing ]; expected [section]"}));
}

TEST(Section, OfARepeatedKeyTheFirstCounts) {
  Problems problems;
  const auto sections = parse("[net]\nbatch=1\nbatch = 64\n", problems);
  EXPECT_EQ(problems.errors(), Strings{});
  EXPECT_EQ(problems.warnings(), Strings{"y.cfg:3: [net] batch = 64: ignored: the key stands in line 2 already, and the first one counts"});
  ASSERT_EQ(sections[0].entries.size(), 1u);
  EXPECT_EQ(sections[0].find("batch")->value, "1");
  set_strict_keys(true);
  EXPECT_EQ(errors_of("[net]\nbatch=1\nbatch = 64\n").size(), 1u);
  set_strict_keys(false);
}

TEST(Section, KeysMayRepeatInAnotherSection) { EXPECT_EQ(errors_of("[net]\nsize=1\n[conv]\nsize=2\n[conv]\nsize=2\n"), Strings{}); }

TEST(Section, NetStandsFirstAndOnce) {
  Problems problems;
  auto sections = parse("[conv]\n[net]\nbatch=1\n[max]\n[net]\nbatch=2\n", problems);
  EXPECT_EQ(problems.errors(), (Strings{"y.cfg:1: [conv]: stands first; expected [net] as the first section",
                                        "y.cfg:5: [net]: there is one in line 2 already; expected one [net] in a file"}));
  ASSERT_EQ(sections.size(), 3u);
  EXPECT_EQ(sections[0].find("batch")->value, "1");
  EXPECT_EQ(sections[1].type, "convolutional");
  EXPECT_EQ(sections[2].type, "maxpool");
  EXPECT_EQ(parse("[conv]\nsize=1\n", problems).at(0).line, 0);  // a stand-in
}

TEST(Section, ErrorsComeInTheOrderOfTheFile) {
  Problems problems;
  for (const char* message : {"a:b/y.cfg:30: late", "a:b/y.cfg:4: soon", "a:b/y.cfg: all", "a:b/y.cfg:4: [x] k = 1:2: sooner"})
    problems.error(message);
  try {
    problems.settle();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a:b/y.cfg: all\na:b/y.cfg:4: soon\na:b/y.cfg:4: [x] k = 1:2: sooner\na:b/y.cfg:30: late");
  }
}

TEST(Section, RefusesTextAfterTheBracketAndAnEmptyName) {
  EXPECT_EQ(errors_of("[net]x\n[]\n"),
            (Strings{"y.cfg:1: [net]x: text after the ]; expected [section] alone on its line", "y.cfg:2: []: no name; expected [section]"}));
}

TEST(Section, EmptyTextsAreRefused) {
  for (std::string_view text : {"", "\n\n", "# only\n; comments", "\xEF\xBB\xBF", "  \t\r\n"})
    EXPECT_EQ(errors_of(text), Strings{"y.cfg: no section; expected [net] first"});
}

TEST(Section, BinaryIsRefusedWithOneMessage) {
  EXPECT_EQ(errors_of(std::string_view("[net]\nbatch=1\n\0junk\n\0", 21)), Strings{"y.cfg:3: NUL byte; expected a text file in UTF-8"});
}

TEST(Section, MessagesStayShortAndPrintable) {
  EXPECT_EQ(shown("a\x1b[31mb"), "a?[31mb");
  const std::string longest = shown(std::string(1 << 20, '7'));
  EXPECT_EQ(longest, std::string(100, '7') + "... (1048576 characters)");
  EXPECT_EQ(shown(std::string(99, 'x') + "\xC3\xA4y"), std::string(99, 'x') + "... (102 characters)");  // the umlaut is not cut in half
}

TEST(Section, HugeFilesEndSoonWithAFewMessages) {
  const auto start = std::chrono::steady_clock::now();
  std::string sections = "[net]\n";
  for (int i = 0; i < 1000000; ++i) sections += "[a]\n";
  EXPECT_EQ(errors_of(sections), Strings{"y.cfg:10001: more than 10000 sections"});

  std::string keys = "[net]\n";
  for (int i = 0; i < 1000000; ++i) keys += concat("k", i, "=1\n");
  EXPECT_EQ(errors_of(keys), Strings{"y.cfg:1002: [net]: more than 1000 keys in one section"});

  Problems problems;
  const auto one = parse("[net]\ncounters_per_class=" + std::string(1 << 20, '1') + "\n", problems);
  EXPECT_FALSE(problems.failed());
  EXPECT_EQ(one.at(0).entries.at(0).value.size(), size_t{1} << 20);

  std::string rubbish = "[net]\n";
  for (int i = 0; i < 100000; ++i) rubbish += "rubbish\n";
  Problems many;
  parse(rubbish, many);
  EXPECT_EQ(many.errors().size(), 100u);
  try {
    many.settle();
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(std::string_view(error.what()).ends_with("y.cfg:101: [net] rubbish: expected key = value\n... and 99900 more problems"))
        << error.what();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));  // seconds under a sanitizer, well below one without
}

TEST(Section, InvalidUtf8IsOpaque) {
  Problems problems;
  const auto sections = parse("[net]\nmap=\xff\xfe\x80\n", problems);
  EXPECT_FALSE(problems.failed());
  EXPECT_EQ(sections.at(0).entries.at(0).value, "\xff\xfe\x80");
}

TEST(Section, ProblemsKeepEachTextOnceAndJoinThem) {
  Problems problems;
  problems.error("a");
  problems.error("b");
  problems.error("a");
  EXPECT_EQ(problems.errors(), (Strings{"a", "b"}));
  try {
    problems.settle();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a\nb");
  }
  Problems none;
  EXPECT_NO_THROW(none.settle());
}

TEST(Section, ProblemTextHasBothHalvesOrOne) {
  const Section section{"y.cfg", 1, "conv", {{"size", "0", 2}}, {}};
  Problems problems;
  problems.error(section, section.entries[0], "", "1..63");
  problems.error(section, section.entries[0], "odd");
  problems.error(section, section.entries[0], "odd", "even");
  EXPECT_EQ(problems.errors(),
            (Strings{"y.cfg:2: [conv] size = 0: expected 1..63", "y.cfg:2: [conv] size = 0: odd", "y.cfg:2: [conv] size = 0: odd; expected even"}));
}

TEST(Section, MissingFileIsAnError) {
  Problems problems;
  EXPECT_THROW(read_sections("no/such.cfg", problems), Error);
  EXPECT_THROW(read_sections("/dev/zero", problems), Error);
}

}  // namespace
}  // namespace dn
