#include "train/loss_scale.h"

#include "device/cuda/device.h"

namespace dn {

LossScale LossScale::of(const Device& device) {
  return LossScale(device.kind() == DeviceKind::cuda && static_cast<const cuda::Device&>(device).options().precision == cuda::Precision::fp16);
}

bool LossScale::update(bool applied) {
  if (!moves_) return false;
  clean_ = applied ? clean_ + 1 : 0;
  if (applied && clean_ < kCleanUpdates) return false;
  clean_ = 0;
  const float before = value_;
  if (applied)
    value_ = before < kHighest ? 2 * before : before;
  else
    value_ = before > kLowest ? before / 2 : before;
  return value_ != before;
}

}  // namespace dn
