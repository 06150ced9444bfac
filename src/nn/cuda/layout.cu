#include "nn/cuda/layout.h"

#include "device/cuda/launch.h"
#include "device/cuda/view.h"
#include "nn/cuda/eights.h"

namespace dn::cuda {
namespace {

struct ToChannelsLast {
  const float* from;
  View to;
  DN_HD void operator()(size_t i) const {   // eight channels of a pixel; pixels of neighbouring threads are neighbours
    const size_t pixels = to.pixels(), plane = static_cast<size_t>(to.h) * static_cast<size_t>(to.w), pixel = i % pixels;
    const int first = static_cast<int>(i / pixels) * kEight;
    const size_t image = pixel / plane, at = pixel % plane;
    Eight out;
    for (int k = 0; k < kEight; ++k) {
      const int c = first + k;
      out.v[k] = c < to.c ? from[(image * static_cast<size_t>(to.c) + static_cast<size_t>(c)) * plane + at] : 0.0f;
    }
    to.set_eight(to.at(pixel, first), out);
  }
};

struct ToPlanar {
  View from;
  float* to;
  DN_HD void operator()(size_t i) const {
    const size_t plane = static_cast<size_t>(from.h) * static_cast<size_t>(from.w), at = i % plane;
    const size_t image = i / plane / static_cast<size_t>(from.c);
    to[i] = from.get(from.at(image * plane + at, static_cast<int>(i / plane % static_cast<size_t>(from.c))));
  }
};

struct CopyTensor {
  View from, to;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = eight_place(i, from.groups());
    const Eight value = from.get_eight(from.at(pixel, channel));
    put_eight(to, to.at(pixel, channel), value, add);
  }
};

}  // namespace

void planar_to_channels_last(Stream& stream, const float* from, const Tensor& to) {
  const View v = view(to);
  for_each(stream, v.eights(), ToChannelsLast{from, v});
}

void channels_last_to_planar(Stream& stream, const Tensor& from, float* to) {
  const View v = view(from);
  for_each(stream, v.pixels() * static_cast<size_t>(v.c), ToPlanar{v, to});
}

void copy_tensor(Stream& stream, const Tensor& from, const Tensor& to, bool add) {
  const View v = view(from);
  for_each(stream, v.eights(), CopyTensor{v, view(to), add});
}

}  // namespace dn::cuda
