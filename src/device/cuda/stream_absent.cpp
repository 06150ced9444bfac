// A build without CUDA.
#include "base/error.h"
#include "device/cuda/stream.h"

namespace dn::cuda {

std::unique_ptr<Stream> open_stream(int) {
  fail("this darknet was built without CUDA: expected a CUDA toolkit of version 12 or later with cuDNN 9 where it is built (make GPU=1)");
}

}  // namespace dn::cuda
