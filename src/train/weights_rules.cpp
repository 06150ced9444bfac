#include "train/weights_rules.h"

#include <cmath>
#include <cstring>

namespace dn {

bool left_out(const Layer& layer, const ParamSegment& segment) {
  const ParamRole role = segment.spec.role;
  return layer.common().dontload || (layer.common().dontloadscales && role != ParamRole::bias && role != ParamRole::weight);
}

void check_values(const std::string& file, const Layer& layer, const ParamSegment& segment, const std::byte* values) {
  for (size_t i = 0; i < segment.spec.count; ++i) {
    float value = 0;
    std::memcpy(&value, values + i * sizeof value, sizeof value);
    const bool negative = segment.spec.role == ParamRole::running_variance && value < 0;
    if (std::isfinite(value) && !negative) continue;
    fail(file, ": layer ", layer.index(), " [", layer.type(), "] ", segment.spec.name, "[", i, "] = ",
         std::isnan(value)   ? "nan"
         : std::isinf(value) ? "inf"
                             : concat(value),
         ": expected a ", negative ? "variance of 0 or more; the file is damaged or belongs to another cfg" : "finite number");
  }
}

void check_finite(const Network& network, const fs::path& file, int layers) {
  for (const ParamSegment& segment : network.params().segments())
    for (const float value : network.params().values(segment))
      if (segment.layer < layers && !std::isfinite(value))
        fail(file.string(), ": layer ", segment.layer, " [", network.layers()[static_cast<size_t>(segment.layer)]->type(), "] ", segment.spec.name,
             " holds a value that is not finite: not written");
}

const Layer* first_obstacle(const Network& network) {
  for (const auto& layer : network.layers())
    if (!layer->weights_file_obstacle().empty()) return layer.get();
  return nullptr;
}

}  // namespace dn
