// All section types that can stand in a cfg.
#pragma once

#include <span>

#include "nn/layer.h"

namespace dn {

std::span<const LayerType> layer_types();
const LayerType* find_layer_type(std::string_view name);  // nullptr when there is none

}  // namespace dn
