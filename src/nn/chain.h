// Two kernels as one layer's: the second reads what the first writes. So a layer gets a step in front of its own or behind it, which knows nothing of it.
//   forward    h = first(x), y = second(h)
//   backward   dh by the second, then dx by the first
// h and its gradient are dense and live in scratch. Where backward reads h, it is made again by a first kernel that keeps nothing, else it is kept.
// A chain is a kernel, so chains can be longer.
#pragma once

#include <memory>

#include "nn/kernel.h"

namespace dn {

struct ChainArgs {
  KernelArgs first, second;
};
// Of a layer whose kernel gets `args`, with `h` between the two. learns: the first has parameters of its own, or a gradient to hand on, in backward.
ChainArgs chain_args(const KernelArgs& args, const TensorDesc& h, bool learns);

std::unique_ptr<Kernel> chain(std::unique_ptr<Kernel> first, std::unique_ptr<Kernel> second, const ChainArgs& args);

}  // namespace dn
