#include "nn/class_tree.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/text.h"
#include "data/test_folder.h"

namespace dn {
namespace {

struct Read {
  ClassTree tree;
  Problems problems;
};

Read read(const std::string& text, int classes) {
  Read out;
  const test::TestFolder folder("class_tree");
  const fs::path path = folder / "classes.tree";
  write_file(path, text);
  const std::vector<Section> sections = parse_sections(concat("[net]\n[region]\ntree=", path.string(), "\n"), "r.cfg", out.problems);
  out.tree = read_class_tree(sections.at(1), path.string(), classes, out.problems);
  return out;
}

}  // namespace

TEST(class_tree, groups_are_siblings) {
  const ClassTree tree = read("a -1\nb -1\n\na1 0\na2 0\na3 0\nb1\t1\na2x 3\n", 7).tree;
  EXPECT_EQ(tree.parent, (std::vector<int>{-1, -1, 0, 0, 0, 1, 3}));
  EXPECT_EQ(tree.group, (std::vector<int>{0, 0, 1, 1, 1, 2, 3}));
  EXPECT_EQ(tree.child, (std::vector<int>{1, 2, -1, 3, -1, -1, -1}));
  ASSERT_EQ(tree.groups.size(), 4u);
  EXPECT_EQ(tree.groups[1].first, 2);
  EXPECT_EQ(tree.groups[1].size, 3);
  EXPECT_EQ(tree.groups[1].parent, 0);
}

TEST(class_tree, wrong_lines_are_named) {
  const struct {
    const char* text;
    int classes;
    const char* message;
  } cases[] = {
      {"a -1\nb 1\n", 2, ":2: b 1: expected a name and the number of an earlier class"},
      {"a -1\nb\n", 2, ":2: b: expected"},
      {"a -1\nb -2\n", 2, ":2: b -2: expected"},
      {"a -1\nb 0\nc 1\nd 0\n", 4, ":4: the children of 0 stand in two places"},
      {"a -1\nb 0\nc -1\n", 3, ":3: the children of -1 stand in two places"},
      {"a -1\nb 0\n", 3, "has 2 classes; expected 3"},
      {"", 1, "has 0 classes"},
  };
  for (const auto& c : cases) {
    const Read result = read(c.text, c.classes);
    ASSERT_EQ(result.problems.errors().size(), 1u) << c.text;
    EXPECT_NE(result.problems.errors()[0].find(c.message), std::string::npos) << result.problems.errors()[0];
  }
}

}  // namespace dn
