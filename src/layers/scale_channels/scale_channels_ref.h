// [scale_channels] by its formula, on plain [N,C,H,W]: what every kernel must compute. See scale_channels.h.
#pragma once

#include "layers/scale_channels/scale_channels.h"

namespace dn {

// a: the factors; x [N,C,H,W]: what they multiply.
template <class T>
std::vector<T> scale_channels_reference(const ScaleChannels& layer, const Shape& in, const std::vector<T>& a, const std::vector<T>& x) {
  std::vector<T> y;
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t image = i / in.per_image();
    y.push_back(activate(layer.activation(), x[i] * a[layer.per_pixel() ? image * in.plane() + i % in.plane() : i / in.plane()]));
  }
  return y;
}

}  // namespace dn
