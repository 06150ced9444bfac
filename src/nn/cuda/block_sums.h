// Sums over the threads of a block in one order: phase 0 of a body puts each thread's sum into of[thread], phase 1 folds runs of kFold, phase 2 those.
#pragma once

#include "base/host_device.h"

namespace dn::cuda {

template <class Sum>
struct BlockSums {
  static constexpr int kThreads = 256, kFold = 16;
  Sum of[kThreads];

  DN_HD void fold_runs(int thread) {
    if (thread < kThreads / kFold) fold(thread * kFold, kFold, 1);
  }
  // The block's sum, for one thread to ask for.
  DN_HD const Sum& fold_all() {
    fold(0, kThreads / kFold, kFold);
    return of[0];
  }

 private:
  DN_HD void fold(int first, int count, int apart) {
    for (int i = 1; i < count; ++i) of[first] += of[first + i * apart];
  }
};

}  // namespace dn::cuda
