// Reading what heads have in common from their sections: anchors, class maps.
#pragma once

#include <string_view>
#include <vector>

#include "config/section.h"
#include "nn/anchor_rules.h"

namespace dn {

// Reports at the key when it is written, else at the section.
void report_key(const Section& section, std::string_view key, Problems& problems, std::string_view problem, std::string_view expected);

// The first `num` pairs of the key anchors. Fewer are an error, more a warning.
std::vector<AnchorSize> read_anchors(const Section& section, const std::vector<float>& numbers, int num, Problems& problems);

// The file of the key map: the head's class of each label class, one a line; empty without the key. A class that the head has not is an error.
std::vector<int> read_class_map(const Section& section, const std::string& file, int classes, Problems& problems);

}  // namespace dn
