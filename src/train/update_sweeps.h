// What the optimizer does to memory, there where the parameters are: on the host, or on the GPU that mirrors them. One per optimizer; the momentum is in it.
#pragma once

#include <memory>
#include <span>

#include "device/device.h"
#include "nn/param.h"
#include "train/sweeps.h"

namespace dn {

// The numbers of one update, the same for all values of a segment.
struct UpdateRule {
  SgdStep sgd;
  AdamStep adam;   // instead
  float hold = 0;  // > 0: afterwards the values are held in [-hold, hold]
};

struct SegmentUpdate {
  const ParamSegment* segment = nullptr;
  size_t filter = 0;  // floats of a filter, whose gradient loses its mean first; 0: it keeps it
  UpdateRule rule;
};

// Of the gradients of all that is updated.
struct GradientSummary {
  double squares = 0;                    // sum of g^2 of the finite ones
  float largest = 0;                     // max |g| of the finite ones
  const ParamSegment* broken = nullptr;  // first with one that is not finite
};

class UpdateSweeps {
 public:
  virtual ~UpdateSweeps() = default;
  // Remembers the running statistics, and how often they moved.
  virtual void remember() = 0;
  // Takes the gradients times `unscale`. All finite: values and momentum are updated, and the gradients used up. Else nothing is, and the running
  // statistics become again what remember() saw. `work`: in the order of the segments.
  virtual GradientSummary update(std::span<const SegmentUpdate> work, float unscale) = 0;
  // The momentum (Adam: m) by the index of the parameters, for the host to read and change until the next update.
  virtual std::span<float> velocity() = 0;
};

// adam: keeps squares too. device: null: the host.
std::unique_ptr<UpdateSweeps> make_update_sweeps(ParamStore& params, bool adam, int threads, Device* device);

}  // namespace dn
