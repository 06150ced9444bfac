// A build without CUDA.
#include "base/error.h"
#include "device/cuda/convolution.h"

namespace dn::cuda {

std::unique_ptr<ConvEngine> cudnn_conv_engine(Stream&, const ConvRules&, const std::string&) { fail("this darknet was built without cuDNN"); }

}  // namespace dn::cuda
