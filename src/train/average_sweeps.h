// The averages of the weights in memory, there where the parameters are: on the host, or on the GPU that mirrors them.
#pragma once

#include <memory>
#include <span>

#include "device/device.h"
#include "nn/param.h"

namespace dn {

class AverageSweeps {
 public:
  virtual ~AverageSweeps() = default;
  virtual void begin() = 0;            // average = weights
  virtual void step(double keep) = 0;  // average <- keep average + (1 - keep) weights
  virtual void take_over() = 0;        // weights = average
  virtual void swap() = 0;
  virtual std::span<const float> values() = 0;  // on the host, until the next of these
};

// device: null: the host.
std::unique_ptr<AverageSweeps> make_average_sweeps(ParamStore& params, int threads, Device* device);

}  // namespace dn
