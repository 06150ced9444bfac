// [activation] by its formula, on plain [N,C,H,W]. See activation_layer.h.
#pragma once

#include "layers/activation/activation_layer.h"

namespace dn {

template <class T>
std::vector<T> activation_reference(const ActivationLayer& layer, std::vector<T> x) {
  for (T& v : x) v = activate(layer.activation(), v);
  return x;
}

}  // namespace dn
