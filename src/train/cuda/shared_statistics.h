// Running statistics of a batch whose mini-batches are shared by several GPUs. A mini-batch moves them by R <- (1 - w_t) R + w_t m, where t counts their moves and
// w_t is nn/batch_norm_channel.h's running_weight. A GPU that takes the mini-batches first..first+k-1 of a batch of n counts t from there, and from R_0 comes to
//   R = a R_0 + p,   a the product of its (1 - w_t).   p times the product of the later (1 - w_t) is its part of
//   R_n = R_0 prod (1 - w_t) + sum of the parts,       what one GPU comes to with all n.
// The parts go where the statistics' gradients would be, so that one sum over the GPUs is of both.
#pragma once

#include <memory>

#include "device/cuda/device.h"
#include "graph/network.h"
#include "nn/cuda/param_mirror.h"

namespace dn::cuda {

class SharedStatistics {
 public:
  // mirror: of the network's parameters, with gradients.
  SharedStatistics(const Network& network, ParamMirror& mirror, Device& device);
  // The values are those before the batch. first: mini-batch of this GPU.
  void begin(int first);
  // Its mini-batches are done; all: of the batch, on all GPUs.
  void deliver(int all);
  // On the GPU that got the sums, whose first is 0.
  void finish(int all);

 private:
  ParamMirror& mirror_;
  Device& device_;
  int first_ = 0;
  size_t values_ = 0, layers_ = 0;
  std::unique_ptr<DeviceMemory> places_, rules_, start_, counters_;
};

}  // namespace dn::cuda
