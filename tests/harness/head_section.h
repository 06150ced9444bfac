// One section of a head alone, with all that is said about it.
#pragma once

#include <memory>

#include "nn/layer.h"

namespace dn::testing {

template <class L>
struct ParsedHead {
  std::unique_ptr<L> layer;
  Problems problems;
};

// `section`: "[yolo]\nclasses=4\n"; `index`: of the layer; `file`: stands in messages, where the section is in line 2.
template <class L>
ParsedHead<L> parse_head(const std::string& section, const std::string& file, int index) {
  ParsedHead<L> out;
  const std::vector<Section> sections = parse_sections("[net]\n" + section, file, out.problems);
  out.layer = L::parse(sections.at(1), NetSpec{}, index, out.problems);
  return out;
}

// Throws Error when anything is wrong with it.
template <class L>
std::unique_ptr<L> settled(ParsedHead<L> parsed) {
  parsed.problems.settle();
  return std::move(parsed.layer);
}

}  // namespace dn::testing
