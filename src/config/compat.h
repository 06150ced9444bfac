// Darknet compatibility as data: the other names of section types, and the [net] keys of the family that this program does not act on.
#pragma once

#include <span>
#include <string_view>

#include "config/keys.h"

namespace dn {

// "conv" -> "convolutional"; a name without another spelling comes back unchanged. Expects lower case.
std::string_view section_type(std::string_view name);

std::span<const ForeignKey> foreign_net_keys();

// Why a section type of the family is none of ours; empty: no such type is known.
std::string_view foreign_section(std::string_view type);

}  // namespace dn
