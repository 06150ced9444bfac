// The numbers of a pass reach the device as arguments of a kernel: a copy from ordinary memory would wait for everything before it.
#include "device/cuda/device.h"
#include "device/cuda/launch.h"

namespace dn::cuda {
namespace {

struct SetNumbers {
  PassNumbers numbers;
  PassNumbers* to;
  DN_HD void operator()(size_t) const { *to = numbers; }
};

}  // namespace

void Device::set_numbers(const PassNumbers& numbers) { for_each(*stream_, 1, SetNumbers{numbers, reinterpret_cast<PassNumbers*>(numbers_->data())}); }

}  // namespace dn::cuda
