#include "nn/class_tree.h"

#include "base/error.h"
#include "base/text.h"
#include "config/data_file.h"
#include "nn/head_keys.h"

namespace dn {
namespace {

// The number behind the last blank of `name parent`.
std::optional<int64_t> parent_of(std::string_view line) {
  const size_t blank = line.find_last_of(" \t");
  return blank == std::string_view::npos ? std::nullopt : parse_integer(line.substr(blank + 1));
}

// Whether some class with this parent has come already.
bool has_group(const ClassTree& tree, int parent) { return parent < 0 ? !tree.groups.empty() : tree.child[static_cast<size_t>(parent)] >= 0; }

void add_class(ClassTree& tree, int parent) {
  const int index = tree.classes();
  if (tree.groups.empty() || tree.groups.back().parent != parent) {
    tree.groups.push_back({index, 0, parent});
    if (parent >= 0) tree.child[static_cast<size_t>(parent)] = static_cast<int>(tree.groups.size()) - 1;
  }
  ++tree.groups.back().size;
  tree.parent.push_back(parent);
  tree.group.push_back(static_cast<int>(tree.groups.size()) - 1);
  tree.child.push_back(-1);
}

}  // namespace

ClassTree read_class_tree(const Section& section, const std::string& file, int classes, Problems& problems) {
  ClassTree tree;
  const fs::path path = resolve_path(file, section.file);
  try {
    int line = 0;
    for (const std::string& text : read_lines(path)) {
      ++line;
      const std::string_view row = trim(text);
      if (row.empty()) continue;
      const auto parent = parent_of(row);
      if (!parent || *parent < -1 || *parent >= tree.classes()) {
        problems.error(concat(path.string(), ":", line, ": ", row, ": expected a name and the number of an earlier class, or -1"));
        return tree;
      }
      if (has_group(tree, static_cast<int>(*parent)) && tree.groups.back().parent != *parent) {
        problems.error(concat(path.string(), ":", line, ": the children of ", *parent, " stand in two places; expected them one below the other"));
        return tree;
      }
      add_class(tree, static_cast<int>(*parent));
    }
  } catch (const Error& error) {
    report_key(section, "tree", problems, error.what(), "a readable file with `name parent` a line");
    return tree;
  }
  if (tree.classes() != classes)
    report_key(section, "tree", problems, concat(path.string(), " has ", tree.classes(), " classes"), concat(classes, " (classes = ", classes, ")"));
  return tree;
}

}  // namespace dn
