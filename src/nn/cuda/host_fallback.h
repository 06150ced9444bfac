// The CPU's kernel of a layer in a plan for a GPU: tensors and parameters are brought to the host, what it makes is brought back. For sections that
// have no kernel of their own there yet; slow, and never part of a recording. The start banner names such layers.
#pragma once

#include "device/cpu/device.h"
#include "device/cuda/device.h"
#include "nn/layer.h"

namespace dn::cuda {

using CpuCompiler = std::unique_ptr<Kernel> (*)(const Layer&, cpu::Device&, const KernelArgs&);

// args: as the GPU's plan has them.
std::unique_ptr<Kernel> host_fallback(const Layer& layer, CpuCompiler compile, cpu::Device& host, Device& device, const KernelArgs& args);

}  // namespace dn::cuda
