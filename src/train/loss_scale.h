// The factor on the gradients of a pass in FP16, whose numbers end at 65504 and have no digits left below 6e-8. Heads multiply what they hand on by it,
// the optimizer divides by it. Gradients here are sums over what an image holds, not means, so that the factor may have to be below 1. It is always a
// power of 2: both are exact then, and FP32, TF32 and BF16, which have the range of FP32, stay at 1.
//
//   a gradient is not finite: halved, and the update is left out;   kCleanUpdates in a row were finite: doubled
//
// An update that is left out so is no sign of divergence, unless the factor is as low as it goes.
#pragma once

#include "device/device.h"

namespace dn {

class LossScale {
 public:
  static constexpr float kLowest = 0x1p-24f, kHighest = 0x1p16f;
  static constexpr int kCleanUpdates = 1000;

  // moves: false: it stays 1.
  explicit LossScale(bool moves) : moves_(moves) {}
  // As a device needs it: it moves where gradients are FP16.
  static LossScale of(const Device& device);

  float value() const { return value_; }
  // After an update with value(); applied: all gradients were finite. True: the value is another one now.
  bool update(bool applied);

 private:
  bool moves_;
  float value_ = 1;
  int clean_ = 0;  // updates since it moved
};

}  // namespace dn
