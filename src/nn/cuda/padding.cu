#include "nn/cuda/padding.h"

#include "device/cuda/launch.h"
#include "device/cuda/view.h"

namespace dn::cuda {
namespace {

struct ZeroPadding {
  View v;
  DN_HD void operator()(size_t pixel) const {
    for (int c = v.c; c < v.padded; ++c) v.set(v.at(pixel, c), 0);
  }
};

}  // namespace

void zero_padding(Stream& stream, const Tensor& tensor) {
  const View v = view(tensor);
  if (v.padded > v.c) for_each(stream, v.pixels(), ZeroPadding{v});
}

}  // namespace dn::cuda
