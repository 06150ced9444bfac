// The area under a precision-recall curve, as every kind of average precision needs it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dn {

// Of detections by falling probability, right[i] or wrong, for `truths` > 0: the mean height of the interpolated precision-recall curve at these
// recall levels (rising), or the area under it when there are none.
double average_precision(const std::vector<bool>& right, int64_t truths, std::span<const double> levels = {});

}  // namespace dn
