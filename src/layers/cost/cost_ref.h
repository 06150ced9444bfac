// [cost] by its formula at inference, on plain [N,C,H,W]: what every kernel must compute. See cost.h.
#pragma once

#include <vector>

namespace dn {

template <class T>
std::vector<T> cost_reference(const std::vector<T>& x) {
  return x;
}

}  // namespace dn
