// What both kinds of stream say.
#include "device/cuda/stream.h"

#include "base/text.h"

namespace dn::cuda {

OutOfMemory too_little_memory(size_t wanted, size_t free) {
  return OutOfMemory(
      concat("the GPU has not ", bytes_text(static_cast<double>(wanted)), " of memory left; ", bytes_text(static_cast<double>(free)), " are free"));
}

}  // namespace dn::cuda
