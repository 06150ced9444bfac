#include "device/cuda/convert.h"

#include "device/cuda/launch.h"
#include "device/cuda/view.h"

namespace dn::cuda {
namespace {

struct ConvertBody {
  View from, to;
  DN_HD void operator()(size_t i) const { to.set_eight(i * kEight, from.get_eight(i * kEight)); }
};

}  // namespace

void convert(Stream& stream, const void* from, DType from_type, void* to, DType to_type, size_t count) {
  ensure(count % kEight == 0, "whole groups of eight");
  for_each(stream, count / kEight, ConvertBody{{const_cast<void*>(from), from_type}, {to, to_type}});
}

}  // namespace dn::cuda
