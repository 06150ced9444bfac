#include "nn/conv_part.h"

#include "base/error.h"

namespace dn {
namespace {

constexpr ForeignKey kForeign[] = {
    {"xnor", "0", true, "binary recurrent layers are not built"},
    {"bin_output", "0", true, "binary recurrent layers are not built"},
};

}  // namespace

void bind_conv_part_foreign(const Section& section, Problems& problems) { bind_foreign(section, kForeign, problems); }

void check_conv_parts(const Section& section, const ConvPartSpec& spec, const NormSpec& norm, Problems& problems) {
  if (spec.size % 2 == 0) problems.error(section, *section.find("size"), "the state could not keep its size", "an odd size");
  if (spec.size % 2 == 1 && spec.border() != spec.size / 2)
    problems.error(concat(section.where(), ": padding = ", spec.border(), ": the state would not keep its size; expected pad = 1"));
  if (norm.batch_statistics() && norm.scope != NormScope::minibatch)
    problems.error(
        concat(section.where(), ": norm = ", norm.text(), ": steps of time have statistics of their own; expected norm_scope = minibatch"));
}

void check_part_channels(const Section& section, std::string_view key, int channels, int groups, Problems& problems) {
  if (channels % groups != 0)
    problems.error(concat(section.where(), " ", key, " = ", channels, ": not divisible into groups = ", groups, "; expected a multiple of ", groups));
}

Section conv_part_section(const Section& section, const ConvPartSpec& spec, int filters, bool strided) {
  Section part{section.file, section.line, section.type, {}, {}};
  const auto put = [&part](const std::string& key, const std::string& value) { part.entries.push_back({key, value, part.line}); };
  put("filters", concat(filters));
  put("size", concat(spec.size));
  put("stride", concat(strided ? spec.stride : 1));
  put("padding", concat(spec.border()));
  put("dilation", concat(spec.dilation));
  put("groups", concat(spec.groups));
  put("activation", spec.activation);
  for (const KeyHelp& norm : with_norm_keys({}, NormPlace::layer))
    if (const Entry* entry = section.find(norm.name)) part.entries.push_back(*entry);
  return part;
}

}  // namespace dn
