#include "train/average_precision.h"

#include <algorithm>

namespace dn {

double average_precision(const std::vector<bool>& right, int64_t truths, std::span<const double> levels) {
  const size_t count = right.size();
  std::vector<double> precision(count), recall(count);
  int64_t hits = 0;
  for (size_t i = 0; i < count; ++i) {
    hits += right[i];
    precision[i] = static_cast<double>(hits) / static_cast<double>(i + 1);
    recall[i] = static_cast<double>(hits) / static_cast<double>(truths);
  }
  for (size_t i = count; i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);  // best at this recall or beyond
  double sum = 0;
  if (levels.empty()) {
    for (size_t i = 0; i < count; ++i) sum += (recall[i] - (i ? recall[i - 1] : 0)) * precision[i];
    return sum;
  }
  size_t i = 0;
  for (const double level : levels) {
    while (i < count && recall[i] < level) ++i;
    if (i < count) sum += precision[i];
  }
  return sum / static_cast<double>(levels.size());
}

}  // namespace dn
