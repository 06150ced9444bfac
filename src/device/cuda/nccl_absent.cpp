// A build without CUDA.
#include "base/error.h"
#include "device/cuda/links.h"

namespace dn::cuda {

std::unique_ptr<Links> nccl_links(std::span<Device* const>) { fail("this darknet was built without NCCL"); }

}  // namespace dn::cuda
