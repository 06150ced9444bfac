// The option parser on a small table: positions, spellings, hints, refusals, help.
#include "cli/options.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "cli/help.h"

namespace dn::cli {
namespace {

constexpr Option kTrain[] = {{"map", "", "", "evaluate"}, {"iou_thresh", "T", "0.5", "overlap"}, {"clear", "", "", "start over"}};
constexpr Option kMap[] = {{"points", "N", "0", "recall points"}, {"iou_thresh", "T", "0.5", "overlap"}};
constexpr Command kCommands[] = {{"detector train", "DATA CFG [WEIGHTS]", 2, 3, "train a network", kTrain},
                                 {"detector map", "DATA CFG WEIGHTS", 3, 3, "mean average precision", kMap},
                                 {"partial", "CFG WEIGHTS OUT N", 4, 4, "cut a file", {}},
                                 {"help", "[COMMAND]", 0, -1, "help", {}}};
constexpr Option kGlobal[] = {{"threads", "N", "0", "threads"}};
constexpr InertOption kInert[] = {{"dont_show", "", "no windows are opened"}, {"mjpeg_port", "P", "no stream"}};
constexpr RefusedCommand kRefused[] = {{"classifier", "no classifiers"}, {"detector draw", "nothing is drawn"}};
constexpr Table kTable{kCommands, kGlobal, kInert, kRefused};

Arguments run(std::vector<std::string> words) { return parse(kTable, words); }

std::string refusal(std::vector<std::string> words) {
  try {
    parse(kTable, words);
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

TEST(options, stand_anywhere) {
  const Arguments a = run({"-threads", "3", "detector", "-map", "train", "a.data", "--iou_thresh", ".7", "a.cfg"});
  ASSERT_NE(a.command, nullptr);
  EXPECT_EQ(a.command->name, "detector train");
  EXPECT_EQ(a.positional, (std::vector<std::string>{"a.data", "a.cfg"}));
  EXPECT_TRUE(a.has("map"));
  EXPECT_FALSE(a.has("clear"));
  EXPECT_EQ(a.real("iou_thresh", 0, 1), .7);
  EXPECT_EQ(a.integer("threads", 0, 64), 3);
}

TEST(options, spellings_of_the_family) {
  for (const char* word : {"-iou_thresh", "--iou-thresh", "-IOU_THRESH", "--iouthresh"}) {
    const Arguments a = run({"detector", "map", "d", "c", "w", word, "0.25"});
    EXPECT_EQ(a.real("iou_thresh", 0, 1), .25) << word;
  }
  EXPECT_EQ(run({"detector", "map", "d", "c", "w", "--iou_thresh=.125"}).real("iou_thresh", 0, 1), .125);
  EXPECT_EQ(run({"detector", "map", "d", "c", "w\r"}).positional[2], "w");
}

TEST(options, defaults_come_from_the_table) {
  const Arguments a = run({"detector", "map", "d", "c", "w"});
  EXPECT_EQ(a.real("iou_thresh", 0, 1), .5);
  EXPECT_EQ(a.integer("points", 0, 101), 0);
  EXPECT_FALSE(a.has("points"));
}

TEST(options, unknown_ones_are_refused_with_a_hint) {
  EXPECT_NE(refusal({"detector", "train", "d", "c", "-itu_thresh", ".5"}).find("did you mean '-iou_thresh'?"), std::string::npos);
  EXPECT_NE(refusal({"detector", "train", "d", "c", "-xyzzy"}).find("-xyzzy: unknown option"), std::string::npos);
  EXPECT_NE(refusal({"detecter", "train", "d", "c"}).find("did you mean 'detector'?"), std::string::npos);
  EXPECT_NE(refusal({"detector", "trai", "d", "c"}).find("did you mean 'train'?"), std::string::npos);
  EXPECT_NE(refusal({"detector", "trian", "d", "c"}).find("did you mean 'train'?"), std::string::npos);
  EXPECT_NE(refusal({"train", "d", "c"}).find("did you mean 'detector train'?"), std::string::npos);
  EXPECT_NE(refusal({"detector"}).find("train, map"), std::string::npos);
}

TEST(options, values_are_checked) {
  EXPECT_NE(refusal({"detector", "map", "d", "c", "w", "-points"}).find("needs a value"), std::string::npos);
  EXPECT_NE(refusal({"detector", "map", "d", "c", "w", "-points", "-iou_thresh", ".5"}).find("needs a value"), std::string::npos);
  EXPECT_NE(refusal({"detector", "train", "d", "c", "-map=1"}).find("takes no value"), std::string::npos);
  EXPECT_THROW(run({"detector", "map", "d", "c", "w", "-points", "7x"}).integer("points", 0, 101), Error);
  EXPECT_THROW(run({"detector", "map", "d", "c", "w", "-points", "-1"}).integer("points", 0, 101), Error);
  EXPECT_THROW(run({"detector", "map", "d", "c", "w", "-iou_thresh", "nan"}).real("iou_thresh", 0, 1), Error);
}

TEST(options, argument_counts) {
  EXPECT_NE(refusal({"partial", "a", "b", "c"}).find("too few arguments; expected: darknet partial CFG WEIGHTS OUT N"), std::string::npos);
  EXPECT_NE(refusal({"partial", "a", "b", "c", "5", "6"}).find("'6': one argument too many"), std::string::npos);
}

TEST(options, what_changes_nothing_is_said) {
  const Arguments a = run({"detector", "train", "d", "c", "-dont_show", "-mjpeg_port", "8090", "-points", "11"});
  EXPECT_EQ(a.positional.size(), 2u);
  ASSERT_EQ(a.notes.size(), 3u);
  EXPECT_EQ(a.notes[0], "option -dont_show changes nothing: no windows are opened");
  EXPECT_EQ(a.notes[2], "option -points changes nothing in `detector train`");
}

TEST(options, commands_of_the_family_are_refused_with_their_reason) {
  EXPECT_EQ(refusal({"classifier", "train", "d", "c", "-topk"}), "classifier: not in this program: no classifiers");
  EXPECT_EQ(refusal({"-threads", "2", "classifier", "train"}), "classifier: not in this program: no classifiers");
  EXPECT_EQ(refusal({"detector", "draw", "d", "c"}), "detector draw: not in this program: nothing is drawn");
  EXPECT_EQ(run({"detector", "train", "draw", "classifier"}).positional[0], "draw") << "a file may be called so";
}

TEST(options, of_a_repeated_option_the_first_counts) {
  const Arguments a = run({"detector", "map", "d", "c", "w", "-points", "11", "--points=101", "-iou_thresh", ".5", "-iouthresh", ".5"});
  EXPECT_EQ(a.integer("points", 0, 101), 11);
  EXPECT_EQ(a.positional.size(), 3u);
  ASSERT_EQ(a.notes.size(), 1u) << "the same value twice is no contradiction";
  EXPECT_EQ(a.notes[0], "option --points 101 changes nothing: it is given twice, and the first, 11, counts");
}

TEST(options, a_command_knows_its_own) {
  EXPECT_TRUE(run({"detector", "map", "d", "c", "w"}).knows("points"));
  EXPECT_TRUE(run({"detector", "map", "d", "c", "w"}).knows("threads"));
  EXPECT_FALSE(run({"detector", "train", "d", "c"}).knows("points"));
}

TEST(options, help) {
  EXPECT_TRUE(run({"detector", "train", "--help"}).help);
  EXPECT_TRUE(run({"-h"}).help);
  EXPECT_EQ(run({}).command, nullptr);
  const std::string all = help_text(kTable);
  for (const Command& c : kCommands) EXPECT_NE(all.find(c.summary), std::string::npos) << c.name;
  EXPECT_NE(help_text(kTable, kCommands[0]).find("-iou_thresh T"), std::string::npos);
  const std::vector<std::string> group{"detector"}, nothing{"nothing"};
  EXPECT_NE(help_text(kTable, group).find("-points N"), std::string::npos);
  EXPECT_THROW(help_text(kTable, nothing), Error);
}

}  // namespace
}  // namespace dn::cli
