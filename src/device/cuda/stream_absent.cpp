// A build without CUDA.
#include "base/error.h"
#include "device/cuda/stream.h"

namespace dn::cuda {

Gpus find_gpus() { return {0, false, "this darknet was built without CUDA (make GPU=1)"}; }
int compute_capability(int) { return 0; }

std::unique_ptr<Stream> open_stream(int) {
  fail("this darknet was built without CUDA: expected a CUDA toolkit of version 12 or later with cuDNN 9 where it is built (make GPU=1)");
}

}  // namespace dn::cuda
