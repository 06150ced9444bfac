// The GPU of the tests: the emulated one, or, where $DN_GPU names one by its number, that.
#pragma once

#include <cstdlib>

#include "base/text.h"
#include "device/cuda/device.h"

namespace dn::testing {

inline bool on_real_gpu() { return std::getenv("DN_GPU") != nullptr; }

inline cuda::DeviceOptions gpu_options(cuda::Precision precision) {
  cuda::DeviceOptions options;
  options.emulated = !on_real_gpu();
  if (on_real_gpu()) options.gpu = static_cast<int>(parse_integer(std::getenv("DN_GPU")).value_or(0));
  options.precision = precision;
  options.convolutions.deterministic = true;
  return options;
}

}  // namespace dn::testing
