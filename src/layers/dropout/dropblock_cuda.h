// [dropout] with dropblock=1 on a GPU.
#pragma once

#include <memory>

#include "layers/dropout/dropout.h"

namespace dn {

std::unique_ptr<Kernel> compile_dropblock(const Dropout& layer, cuda::Device& device, const KernelArgs& args);

}  // namespace dn
